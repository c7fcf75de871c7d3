"""What stands around a board's top level in the simulator: its core's contents, and the line.

Everything that changes in a cycle runs in Verilog and C++; Python only starts it.
"""

#: Names of the top module, and of the module that stands for the core.
TOP = "weft_board"
CORE = "weft_core_flashed"

#: File with what a bitstream would hold, in the folder where the simulator runs.
IMAGES_FILE = "images.bin"

# A bitstream's block RAMs have their contents from the start. Here a core is loaded through its
# own port in the first cycles after reset, before the board answers; a reset loads it again,
# as configuration does. The file begins with the program's digest, and goes on with load words.
CORE_VERILOG = """
module weft_core_flashed (
  input clk, input rst,
  input [58:0] load__payload, input load__valid, output load__ready,
  input [23:0] read__payload, input read__valid, output read__ready,
  output [31:0] data__payload, output data__valid, input data__ready,
  input start, output busy, output [31:0] cycles,
  output reg [63:0] digest, output reg flashed, output reg ready
);
  integer file, got;
  reg opened = 0, valid = 0;
  reg [63:0] word = 0, following = 0;
  wire core_ready;

  assign load__ready = core_ready && ready;

  weft_core core (
    .clk(clk), .rst(rst),
    .load__payload(ready ? load__payload : word[58:0]),
    .load__valid(ready ? load__valid : valid), .load__ready(core_ready),
    .read__payload(read__payload), .read__valid(read__valid), .read__ready(read__ready),
    .data__payload(data__payload), .data__valid(data__valid), .data__ready(data__ready),
    .start(start), .busy(busy), .cycles(cycles)
  );

  always @(posedge clk) begin
    if (rst) begin
      if (opened) $fclose(file);
      opened <= 0;
      valid <= 0;
      flashed <= 0;
      ready <= 0;
    end else if (!opened) begin
      file = $fopen("images.bin", "rb");
      got = $fread(following, file);
      digest <= following;
      flashed <= got == 8;
      ready <= got != 8;
      opened <= 1;
    end else if (!ready && (!valid || core_ready)) begin
      got = $fread(following, file);
      word <= following;
      valid <= got == 8;
      ready <= got != 8;
    end
  end
endmodule
"""

#: Name of the module that is a serial flash memory, and the file with what is in it.
FLASH = "weft_flash_memory"
FLASH_FILE = "flash.bin"

# As the ones beside an iCE40: asleep when the FPGA has configured itself, woken up by 0xAB, read by
# 0x03 and an address, mode 0. Behind the end of the file it is erased.
FLASH_VERILOG = """
module weft_flash_memory (input select, input clock, input copi, output reg cipo);
  integer file, moved;
  reg [31:0] bits = 0, shifted = 0;
  reg [7:0] out = 0;
  reg awake = 0, reading = 0;
  wire [31:0] word = {shifted[30:0], copi};

  initial begin
    cipo = 1;
    file = $fopen("flash.bin", "rb");
  end

  always @(posedge clock or negedge select) begin
    if (!select) begin
      if (bits == 8 && shifted[7:0] == 8'hAB) awake <= 1;
      bits <= 0;
      reading <= 0;
    end else begin
      shifted <= word;
      bits <= bits + 1;
      if (awake && bits == 31 && word[31:24] == 8'h03) begin
        moved = $fseek(file, {8'd0, word[23:0]}, 0);
        out <= $fgetc(file);
        reading <= 1;
      end else if (reading && bits[2:0] == 7)
        out <= $fgetc(file);
    end
  end

  always @(negedge clock)
    cipo <= reading ? out[~bits[2:0]] : 1'b1;
endmodule
"""

# A UART as an adapter has it: eight bits, no parity, one stop bit. What the host does not take is
# lost, as with an adapter. While the host is silent and the core idle, time stands still. A reset
# goes to the board's pin; or, where the board has none, a new model takes the place of the old one.
MAIN = r"""
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "Vweft_board.h"
#include "verilated.h"

namespace {

Vweft_board* board;
int divisor;

void cycle() {
  board->clk = 0;
  board->eval();
  board->clk = 1;
  board->eval();
}

void reset() {
#ifdef WEFT_CONFIGURED_ANEW
  delete board;
  board = new Vweft_board;
#endif
  board->rx = 1;
  board->rst = 1;
  for (int n = 0; n < 4; ++n) cycle();
  board->rst = 0;
  do cycle(); while (!board->ready);
}

// What a bad cable does, of so many bytes in a million: damages one bit, loses a byte, doubles it.
struct Noise {
  unsigned long long state;
  unsigned damaged, lost, doubled;

  unsigned next(unsigned below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<unsigned>((state >> 20) % below);
  }

  // The bytes that come of one; how many.
  int pass(unsigned char byte, unsigned char* out) {
    out[0] = out[1] = byte;
    if (damaged + lost + doubled == 0) return 1;
    const unsigned chance = next(1000000);
    if (chance < damaged) out[0] ^= 1u << next(8);
    if (chance < damaged) return 1;
    if (chance < damaged + lost) return 0;
    return chance < damaged + lost + doubled ? 2 : 1;
  }
};

Noise noise;

// Bytes of the host, a bit every `divisor` cycles.
struct ToBoard {
  unsigned char bytes[4096], line[2 * 4096];
  int count = 0, next = 0;
  unsigned bits = 0;
  int left = 0, timer = 0;

  bool empty() const { return next == count && left == 0; }

  void step(int file) {
    if (timer > 0) {
      --timer;
      return;
    }
    if (left == 0) {
      if (next == count) {
        ssize_t got = read(file, bytes, sizeof bytes);
        next = 0;
        count = 0;
        for (ssize_t n = 0; n < got; ++n) count += noise.pass(bytes[n], line + count);
        if (count == 0) {
          timer = 100;  // asking costs a thousand times a cycle
          return;
        }
      }
      bits = 0x200u | (line[next++] << 1);
      left = 10;
    }
    board->rx = bits & 1;
    bits >>= 1;
    --left;
    timer = divisor - 1;
  }
};

// Bytes of the board, sampled in the middle of their bits.
struct FromBoard {
  unsigned value = 0;
  int left = 0, timer = 0;

  bool idle() const { return left == 0; }

  void step(int file) {
    if (left == 0) {
      if (!board->tx) {
        left = 9;
        value = 0;
        timer = divisor + divisor / 2 - 1;
      }
      return;
    }
    if (timer > 0) {
      --timer;
      return;
    }
    timer = divisor - 1;
    --left;
    if (left > 0) {
      value = (value >> 1) | (board->tx ? 0x80u : 0u);
    } else if (board->tx) {
      unsigned char bytes[2];
      const int count = noise.pass(static_cast<unsigned char>(value), bytes);
      if (write(file, bytes, count) != count) std::fputs("a byte is lost: nobody reads\n", stderr);
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) return 2;
  const int line = std::atoi(argv[1]);
  divisor = std::atoi(argv[2]);
  const long patience = std::atol(argv[3]);
  const auto number = [&](int n) { return static_cast<unsigned>(std::atol(argv[n])); };
  // A generator of this kind stays at 0 once it is there.
  noise = {2ull * number(4) + 1, number(5), number(6), number(7)};
  signal(SIGPIPE, SIG_IGN);
  fcntl(line, F_SETFL, fcntl(line, F_GETFL) | O_NONBLOCK);
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  board = new Vweft_board;
  reset();
  std::puts("ready");
  std::fflush(stdout);

  ToBoard to;
  FromBoard from;
  long quiet = 0;
  long control = 0;
  while (true) {
    to.step(line);
    cycle();
    from.step(line);
    quiet = to.empty() && from.idle() && !board->busy ? quiet + 1 : 0;
    const bool sleep = quiet > patience;
    if (sleep || ++control > 1000) {
      control = 0;
      pollfd ends[2] = {{STDIN_FILENO, POLLIN, 0}, {line, POLLIN, 0}};
      if (poll(ends, 2, sleep ? -1 : 0) > 0 && ends[0].revents) {
        char command = 0;
        ssize_t got = read(STDIN_FILENO, &command, 1);
        if (got == 0) return 0;  // whoever started this is gone
        if (got == 1 && command == 'r') {
          reset();
          to = ToBoard();
          from = FromBoard();
          std::puts("ready");
          std::fflush(stdout);
        }
      }
      if (sleep) {
        quiet = 0;
        to.timer = 0;  // whatever woke it is there
      }
    }
  }
}
"""
