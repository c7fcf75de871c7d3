"""A small module around the core that moves words at the speed of the simulator.

A simulated inference takes some hundred thousand words and cycles. Python in the
simulator would cost tens of microseconds for each; so the clock and the three
handshakes run in Verilog, and the test bench (`weft.sim.verilog.bench`) only says how
many words shall move and waits until they have. A stream of samples runs in Verilog as a
whole: the words of the next sample are offered from the moment on when the present one
starts, or, where its place is not free, when that one is read; and it starts in the cycle
after its last word and the last output before it have moved.
"""

#: Name of the module.
TOP = "weft_bench"

#: Nanoseconds in a clock period.
PERIOD = 10

#: Files in the folder where the simulator runs.
LOAD_FILE = "load.bin"
READ_FILE = "read.bin"
DATA_FILE = "data.bin"
TRACE_FILE = "trace.bin"
STREAM_FILE = "stream.bin"

# Each channel has a counter of words wanted, which only the test bench writes, and one of
# words moved, which only the harness writes; so neither overwrites the other. `stalls` is the
# seed of a xorshift generator, equal in every simulator, whose bits hold the channels back.
# `weft.sim.verilog.stream` says what the words of stream.bin are.
VERILOG = """
module weft_bench;
  reg clk = 0;
  reg rst = 1;
  reg [31:0] load_wanted /* verilator public_flat_rw */ = 0;
  reg [31:0] read_wanted /* verilator public_flat_rw */ = 0;
  reg [31:0] start_wanted /* verilator public_flat_rw */ = 0;
  reg [31:0] stalls /* verilator public_flat_rw */ = 0;
  reg go /* verilator public_flat_rw */ = 0;
  reg load_idle /* verilator public_flat_rw */ = 1;
  reg data_idle /* verilator public_flat_rw */ = 1;
  reg start_idle /* verilator public_flat_rw */ = 1;
  reg [31:0] seen_cycles /* verilator public_flat_rw */ = 0;
  reg [31:0] elapsed /* verilator public_flat_rw */ = 0;
  reg early /* verilator public_flat_rw */ = 0;
  reg overlaps /* verilator public_flat_rw */ = 0;
  reg streaming /* verilator public_flat_rw */ = 0;
  reg stream_ahead /* verilator public_flat_rw */ = 0;
  reg [31:0] stream_samples /* verilator public_flat_rw */ = 0;
  reg [31:0] stream_input /* verilator public_flat_rw */ = 0;
  reg [31:0] stream_read /* verilator public_flat_rw */ = 0;
  reg sampled /* verilator public_flat_rw */ = 0;

  reg [31:0] load_taken = 0, load_moved = 0, read_taken = 0, data_moved = 0, start_moved = 0;
  reg load_valid = 0, read_valid = 0, data_ready = 0, start = 0, running = 0, seeded = 0;
  reg [63:0] load_word = 0, load_next = 0;
  reg [31:0] read_word = 0, read_next = 0;
  reg [31:0] noise = 0;
  // Of a stream: words wanted, and samples started.
  reg [31:0] stream_load = 0, stream_answers = 0, stream_started = 0;
  reg stream_begun = 0, stream_reading = 0;
  wire load_ready, read_ready, data_valid, busy;
  wire [31:0] data, cycles;
  integer load_file, read_file, data_file, stream_file, got;

  weft_core core (
    .clk(clk), .rst(rst),
    .load__payload(load_word[58:0]), .load__valid(load_valid), .load__ready(load_ready),
    .read__payload(read_word[23:0]), .read__valid(read_valid), .read__ready(read_ready),
    .data__payload(data), .data__valid(data_valid), .data__ready(data_ready),
    .start(start), .busy(busy), .cycles(cycles)
  );

  initial begin
    load_file = $fopen("load.bin", "rb");
    read_file = $fopen("read.bin", "rb");
    data_file = $fopen("data.bin", "wb");
    stream_file = $fopen("stream.bin", "wb");
  end

  always #5 clk = ~clk;

  function [31:0] shuffled(input [31:0] value);
    begin
      shuffled = value ^ (value << 13);
      shuffled = shuffled ^ (shuffled >> 17);
      shuffled = shuffled ^ (shuffled << 5);
    end
  endfunction

  wire stall_load = noise[3];
  wire stall_read = noise[13];
  wire stall_data = noise[23] | noise[27];

  wire [31:0] load_total = load_wanted + stream_load;
  wire [31:0] read_total = read_wanted + stream_answers;
  wire all_loaded = load_total == load_moved + (load_valid && load_ready ? 1 : 0);
  wire all_answered = read_total == data_moved + (data_valid && data_ready ? 1 : 0);
  wire ended = running && !busy;
  wire stream_next = streaming && stream_begun && stream_started != stream_samples &&
    !start && !running && (!stream_reading || (all_answered && stream_ahead)) && all_loaded;

  always @(posedge clk) begin
    rst <= ~go;
    seeded <= go;
    noise <= seeded ? shuffled(noise) : stalls;
    elapsed <= elapsed + 1;

    if (load_valid && load_ready)
      load_moved <= load_moved + 1;
    if (!load_valid || load_ready) begin
      if (load_taken != load_total && !stall_load) begin
        got = $fread(load_next, load_file);
        load_word <= load_next;
        load_taken <= load_taken + 1;
        load_valid <= 1;
      end else
        load_valid <= 0;
    end
    load_idle <= all_loaded;

    start <= (start_wanted != start_moved && !start && !running) || stream_next;
    if (start) begin
      if (!streaming)
        start_moved <= start_moved + 1;
      running <= 1;
    end else if (ended) begin
      running <= 0;
      seen_cycles <= cycles;
    end
    start_idle <= start_wanted == start_moved && !start && (!running || !busy);

    if (!read_valid || read_ready) begin
      if (read_taken != read_total && !stall_read) begin
        got = $fread(read_next, read_file);
        read_word <= read_next;
        read_taken <= read_taken + 1;
        read_valid <= 1;
      end else
        read_valid <= 0;
    end
    data_ready <= !stall_data;
    if (data_valid && data_ready) begin
      $fwrite(data_file, "%u", data);
      data_moved <= data_moved + 1;
      if (data_moved + 1 == read_total)
        $fflush(data_file);
    end
    data_idle <= all_answered;

    if (streaming && !stream_begun)
      $fwrite(stream_file, "%u", elapsed);
    if (streaming && ended) begin
      stream_answers <= stream_answers + stream_read;
      stream_reading <= 1;
      $fwrite(stream_file, "%u", elapsed);
    end
    if (stream_reading && all_answered) begin
      stream_reading <= 0;
      $fwrite(stream_file, "%u", elapsed);
    end
    sampled <= stream_reading && all_answered;
    if (stream_next)
      $fwrite(stream_file, "%u", elapsed);
    if ((streaming && !stream_begun) || (stream_ahead
        ? stream_next && stream_started + 1 != stream_samples
        : stream_reading && all_answered && stream_started != stream_samples))
      stream_load <= stream_load + stream_input;
    stream_begun <= streaming;
    stream_started <= streaming ? stream_started + (stream_next ? 1 : 0) : 0;

    // A core that answers what was not asked, or takes a word while it works, is wrong; but words
    // for the activation memory may come early where inputs are released.
    if ((data_valid && data_ready && data_moved == read_taken) ||
        (busy && (read_ready || (load_ready && !(overlaps && load_word[58:56] == 0)))))
      early <= 1;
  end
endmodule
"""

#: What a trace looks at in the core's Verilog. The decoder's own port for `begin` has the name of
#: whatever signal is the same; the core's signal between the decoder and the sequencer keeps it.
TRACED = (r"\weft_core.decoder  decoder (", r"wire \begin ;", "input done;")

#: `weft.sim.trace` says what the words are.
_TRACE = """
  integer trace_file;
  initial trace_file = $fopen("trace.bin", "wb");

  always @(posedge clk) begin
    if (core.\\begin ) $fwrite(trace_file, "%u", {1'b0, cycles[30:0]});
    if (core.decoder.done) $fwrite(trace_file, "%u", {1'b1, cycles[30:0]});
  end
endmodule
"""


def harness(*, trace: bool = False) -> str:
    """The module; with `trace` it writes down when instructions begin and end."""
    return VERILOG.removesuffix("endmodule\n") + _TRACE if trace else VERILOG
