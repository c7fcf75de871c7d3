// Cells of the iCE40 that Yosys has no model of, or none that Verilator takes. weft's own, written
// from Lattice's "iCE40 Technology Library", "iCE40 UltraPlus Family Data Sheet" (FPGA-DS-02008)
// and "sysCLOCK PLL Design and Usage Guide" (FPGA-TN-02052), and for nextpnr's cells from the parts
// that it packs into them.
//
// There are no delays. A parameter's value that a model does not have ends the build of the
// simulation, and an input's value that it does not have the simulation, with a sentence.

// A pin without registers: an input, an output, or an output that may float.
module SB_IO (
  inout PACKAGE_PIN, input CLOCK_ENABLE = 1'b1, input OUTPUT_ENABLE = 1'b0, input D_OUT_0 = 1'b0,
  output D_IN_0
);
  parameter [5:0] PIN_TYPE = 6'b000000;
  parameter [0:0] PULLUP = 1'b0;
  parameter [0:0] NEG_TRIGGER = 1'b0;
  parameter IO_STANDARD = "SB_LVCMOS";
  generate
    if (PIN_TYPE[1:0] != 2'b01)
      $fatal(1, "SB_IO: an input with a register is not modelled (PIN_TYPE %b)", PIN_TYPE);
    if (PIN_TYPE[5:4] == 2'b11 || PIN_TYPE[5:4] != 2'b00 && PIN_TYPE[3:2] != 2'b10)
      $fatal(1, "SB_IO: an output with a register is not modelled (PIN_TYPE %b)", PIN_TYPE);
    if (PIN_TYPE[5:4] == 2'b01) begin : always_out
      assign PACKAGE_PIN = D_OUT_0;
    end else if (PIN_TYPE[5:4] == 2'b10) begin : tristate
      assign PACKAGE_PIN = OUTPUT_ENABLE ? D_OUT_0 : 1'bz;
    end
  endgenerate
  assign D_IN_0 = PACKAGE_PIN;
endmodule

// The PLLs' common part. Time in the simulation counts cycles of the output, so the reference
// passes through as it is; what the dividers make of its frequency is checked by whoever knows it.
module weft_ice40_pll #(parameter CELL = "") (
  input reference, input resetb, input bypass, output clock, output reg lock
);
  assign clock = reference;
  initial lock = 0;
  reg [3:0] waited = 0;
  always @(posedge reference) begin
    if (!resetb) $fatal(1, "%0s: a PLL that is switched off is not modelled", CELL);
    if (bypass) $fatal(1, "%0s: a PLL that is bypassed is not modelled", CELL);
    if (!(&waited)) waited <= waited + 1'b1;
    lock <= &waited;
  end
endmodule

module SB_PLL40_CORE (
  input REFERENCECLK, input RESETB, input BYPASS = 1'b0, output PLLOUTGLOBAL, output LOCK
);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter [3:0] DIVR = 0;
  parameter [6:0] DIVF = 0;
  parameter [2:0] DIVQ = 0;
  parameter [2:0] FILTER_RANGE = 0;
  generate
    if (FEEDBACK_PATH != "SIMPLE")
      $fatal(1, "SB_PLL40_CORE: FEEDBACK_PATH %0s is not modelled", FEEDBACK_PATH);
  endgenerate
  weft_ice40_pll #(.CELL("SB_PLL40_CORE")) pll (
    .reference(REFERENCECLK), .resetb(RESETB), .bypass(BYPASS), .clock(PLLOUTGLOBAL), .lock(LOCK)
  );
endmodule

module SB_PLL40_PAD (
  input PACKAGEPIN, input RESETB, input BYPASS = 1'b0, output PLLOUTGLOBAL, output LOCK
);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter [3:0] DIVR = 0;
  parameter [6:0] DIVF = 0;
  parameter [2:0] DIVQ = 0;
  parameter [2:0] FILTER_RANGE = 0;
  generate
    if (FEEDBACK_PATH != "SIMPLE")
      $fatal(1, "SB_PLL40_PAD: FEEDBACK_PATH %0s is not modelled", FEEDBACK_PATH);
  endgenerate
  weft_ice40_pll #(.CELL("SB_PLL40_PAD")) pll (
    .reference(PACKAGEPIN), .resetb(RESETB), .bypass(BYPASS), .clock(PLLOUTGLOBAL), .lock(LOCK)
  );
endmodule

// A logic cell as nextpnr packs it: lookup table, carry and register.
module ICESTORM_LC (
  input I0 = 1'b0, input I1 = 1'b0, input I2 = 1'b0, input I3 = 1'b0, input CIN = 1'b0,
  input CLK = 1'b0, input CEN = 1'b1, input SR = 1'b0,
  output LO, output O, output COUT
);
  parameter [15:0] LUT_INIT = 16'd0;
  parameter [0:0] NEG_CLK = 1'b0;
  parameter [0:0] CARRY_ENABLE = 1'b0;
  parameter [0:0] DFF_ENABLE = 1'b0;
  parameter [0:0] SET_NORESET = 1'b0;
  parameter [0:0] ASYNC_SR = 1'b0;
  parameter [0:0] CIN_CONST = 1'b0;
  parameter [0:0] CIN_SET = 1'b0;

  wire carry = CIN_CONST ? CIN_SET : CIN;
  assign COUT = CARRY_ENABLE & (I1 & I2 | (I1 | I2) & carry);

  // An input of the carry may be the table's own output: what the table ignores is no loop.
  localparam [0:0] USES_0 = (LUT_INIT & 16'h5555) != (LUT_INIT >> 1 & 16'h5555);
  localparam [0:0] USES_1 = (LUT_INIT & 16'h3333) != (LUT_INIT >> 2 & 16'h3333);
  localparam [0:0] USES_2 = (LUT_INIT & 16'h0F0F) != (LUT_INIT >> 4 & 16'h0F0F);
  localparam [0:0] USES_3 = (LUT_INIT & 16'h00FF) != (LUT_INIT >> 8 & 16'h00FF);
  wire [7:0] by_3 = (USES_3 & I3) ? LUT_INIT[15:8] : LUT_INIT[7:0];
  wire [3:0] by_2 = (USES_2 & I2) ? by_3[7:4] : by_3[3:0];
  wire [1:0] by_1 = (USES_1 & I1) ? by_2[3:2] : by_2[1:0];
  assign LO = (USES_0 & I0) ? by_1[1] : by_1[0];

  generate
    if (!DFF_ENABLE) begin : logic_only
      assign O = LO;
    end else begin : register
      // Whatever its set and reset do, it begins with 0.
      reg state = 1'b0;
      wire clock = CLK ^ NEG_CLK;
      assign O = state;
      if (ASYNC_SR) begin : asynchronous
        always @(posedge clock or posedge SR)
          if (SR) state <= SET_NORESET;
          else if (CEN) state <= LO;
      end else begin : synchronous
        always @(posedge clock)
          if (CEN) state <= SR ? SET_NORESET : LO;
      end
    end
  endgenerate
endmodule

// The PLL as nextpnr places it, on the board's oscillator and with output A alone.
module ICESTORM_PLL (
  input REFERENCECLK, input RESETB = 1'b1, input BYPASS = 1'b0, output PLLOUT_A_GLOBAL,
  output PLLOUT_A, output LOCK
);
  parameter [2:0] FEEDBACK_PATH = 1;
  parameter [3:0] DIVR = 0;
  parameter [6:0] DIVF = 0;
  parameter [2:0] DIVQ = 0;
  parameter [2:0] FILTER_RANGE = 0;
  parameter PLLTYPE = 0;
  parameter [1:0] PLLOUT_SELECT_A = 0;
  parameter [1:0] PLLOUT_SELECT_B = 0;
  parameter [3:0] FDA_FEEDBACK = 0;
  parameter [3:0] FDA_RELATIVE = 0;
  parameter [0:0] SHIFTREG_DIVMODE = 0;
  parameter [0:0] TEST_MODE = 0;
  parameter [0:0] ENABLE_ICEGATE_PORTA = 0;
  parameter [0:0] ENABLE_ICEGATE_PORTB = 0;
  parameter [0:0] DELAY_ADJMODE_FB = 0;
  parameter [0:0] DELAY_ADJMODE_REL = 0;
  generate
    if (FEEDBACK_PATH != 1)
      $fatal(1, "ICESTORM_PLL: FEEDBACK_PATH %b is not modelled", FEEDBACK_PATH);
    if (PLLOUT_SELECT_A != 0)
      $fatal(1, "ICESTORM_PLL: PLLOUT_SELECT_A %b is not modelled", PLLOUT_SELECT_A);
    if (FDA_FEEDBACK != 0 || FDA_RELATIVE != 0 || DELAY_ADJMODE_FB || DELAY_ADJMODE_REL)
      $fatal(1, "ICESTORM_PLL: a delay is not modelled");
    if (ENABLE_ICEGATE_PORTA || TEST_MODE)
      $fatal(1, "ICESTORM_PLL: an output that stands still is not modelled");
  endgenerate
  weft_ice40_pll #(.CELL("ICESTORM_PLL")) pll (
    .reference(REFERENCECLK), .resetb(RESETB), .bypass(BYPASS), .clock(PLLOUT_A), .lock(LOCK)
  );
  assign PLLOUT_A_GLOBAL = PLLOUT_A;
endmodule

// A block RAM as nextpnr places it; Yosys's model does the work.
module ICESTORM_RAM (
  input RADDR_10 = 1'b0, RADDR_9 = 1'b0, RADDR_8 = 1'b0, RADDR_7 = 1'b0, RADDR_6 = 1'b0,
  RADDR_5 = 1'b0, RADDR_4 = 1'b0, RADDR_3 = 1'b0, RADDR_2 = 1'b0, RADDR_1 = 1'b0, RADDR_0 = 1'b0,
  input WADDR_10 = 1'b0, WADDR_9 = 1'b0, WADDR_8 = 1'b0, WADDR_7 = 1'b0, WADDR_6 = 1'b0,
  WADDR_5 = 1'b0, WADDR_4 = 1'b0, WADDR_3 = 1'b0, WADDR_2 = 1'b0, WADDR_1 = 1'b0, WADDR_0 = 1'b0,
  input MASK_15 = 1'b0, MASK_14 = 1'b0, MASK_13 = 1'b0, MASK_12 = 1'b0, MASK_11 = 1'b0,
  MASK_10 = 1'b0, MASK_9 = 1'b0, MASK_8 = 1'b0, MASK_7 = 1'b0, MASK_6 = 1'b0, MASK_5 = 1'b0,
  MASK_4 = 1'b0, MASK_3 = 1'b0, MASK_2 = 1'b0, MASK_1 = 1'b0, MASK_0 = 1'b0,
  input WDATA_15 = 1'b0, WDATA_14 = 1'b0, WDATA_13 = 1'b0, WDATA_12 = 1'b0, WDATA_11 = 1'b0,
  WDATA_10 = 1'b0, WDATA_9 = 1'b0, WDATA_8 = 1'b0, WDATA_7 = 1'b0, WDATA_6 = 1'b0, WDATA_5 = 1'b0,
  WDATA_4 = 1'b0, WDATA_3 = 1'b0, WDATA_2 = 1'b0, WDATA_1 = 1'b0, WDATA_0 = 1'b0,
  output RDATA_15, RDATA_14, RDATA_13, RDATA_12, RDATA_11, RDATA_10, RDATA_9, RDATA_8, RDATA_7,
  RDATA_6, RDATA_5, RDATA_4, RDATA_3, RDATA_2, RDATA_1, RDATA_0,
  input RCLK = 1'b0, input RCLKE = 1'b1, input RE = 1'b0,
  input WCLK = 1'b0, input WCLKE = 1'b1, input WE = 1'b0
);
  parameter [1:0] WRITE_MODE = 0;
  parameter [1:0] READ_MODE = 0;
  parameter [0:0] NEG_CLK_R = 1'b0;
  parameter [0:0] NEG_CLK_W = 1'b0;
  parameter INIT_FILE = "";
  parameter [255:0] INIT_0 = 256'd0;
  parameter [255:0] INIT_1 = 256'd0;
  parameter [255:0] INIT_2 = 256'd0;
  parameter [255:0] INIT_3 = 256'd0;
  parameter [255:0] INIT_4 = 256'd0;
  parameter [255:0] INIT_5 = 256'd0;
  parameter [255:0] INIT_6 = 256'd0;
  parameter [255:0] INIT_7 = 256'd0;
  parameter [255:0] INIT_8 = 256'd0;
  parameter [255:0] INIT_9 = 256'd0;
  parameter [255:0] INIT_A = 256'd0;
  parameter [255:0] INIT_B = 256'd0;
  parameter [255:0] INIT_C = 256'd0;
  parameter [255:0] INIT_D = 256'd0;
  parameter [255:0] INIT_E = 256'd0;
  parameter [255:0] INIT_F = 256'd0;
  SB_RAM40_4K #(
    .WRITE_MODE(WRITE_MODE), .READ_MODE(READ_MODE), .INIT_FILE(INIT_FILE),
    .INIT_0(INIT_0), .INIT_1(INIT_1), .INIT_2(INIT_2), .INIT_3(INIT_3),
    .INIT_4(INIT_4), .INIT_5(INIT_5), .INIT_6(INIT_6), .INIT_7(INIT_7),
    .INIT_8(INIT_8), .INIT_9(INIT_9), .INIT_A(INIT_A), .INIT_B(INIT_B),
    .INIT_C(INIT_C), .INIT_D(INIT_D), .INIT_E(INIT_E), .INIT_F(INIT_F)
  ) ram (
    .RDATA({
      RDATA_15, RDATA_14, RDATA_13, RDATA_12, RDATA_11, RDATA_10, RDATA_9, RDATA_8, RDATA_7,
      RDATA_6, RDATA_5, RDATA_4, RDATA_3, RDATA_2, RDATA_1, RDATA_0
    }),
    .RADDR({
      RADDR_10, RADDR_9, RADDR_8, RADDR_7, RADDR_6, RADDR_5, RADDR_4, RADDR_3, RADDR_2, RADDR_1,
      RADDR_0
    }),
    .WADDR({
      WADDR_10, WADDR_9, WADDR_8, WADDR_7, WADDR_6, WADDR_5, WADDR_4, WADDR_3, WADDR_2, WADDR_1,
      WADDR_0
    }),
    .MASK({
      MASK_15, MASK_14, MASK_13, MASK_12, MASK_11, MASK_10, MASK_9, MASK_8, MASK_7, MASK_6,
      MASK_5, MASK_4, MASK_3, MASK_2, MASK_1, MASK_0
    }),
    .WDATA({
      WDATA_15, WDATA_14, WDATA_13, WDATA_12, WDATA_11, WDATA_10, WDATA_9, WDATA_8, WDATA_7,
      WDATA_6, WDATA_5, WDATA_4, WDATA_3, WDATA_2, WDATA_1, WDATA_0
    }),
    .RCLK(RCLK ^ NEG_CLK_R), .RCLKE(RCLKE), .RE(RE),
    .WCLK(WCLK ^ NEG_CLK_W), .WCLKE(WCLKE), .WE(WE)
  );
endmodule

// A DSP block as nextpnr places it; Yosys's model does the work.
module ICESTORM_DSP (
  input CLK = 1'b0, input CE = 1'b1,
  input A_15 = 1'b0, A_14 = 1'b0, A_13 = 1'b0, A_12 = 1'b0, A_11 = 1'b0, A_10 = 1'b0, A_9 = 1'b0,
  A_8 = 1'b0, A_7 = 1'b0, A_6 = 1'b0, A_5 = 1'b0, A_4 = 1'b0, A_3 = 1'b0, A_2 = 1'b0, A_1 = 1'b0,
  A_0 = 1'b0, B_15 = 1'b0, B_14 = 1'b0, B_13 = 1'b0, B_12 = 1'b0, B_11 = 1'b0, B_10 = 1'b0,
  B_9 = 1'b0, B_8 = 1'b0, B_7 = 1'b0, B_6 = 1'b0, B_5 = 1'b0, B_4 = 1'b0, B_3 = 1'b0, B_2 = 1'b0,
  B_1 = 1'b0, B_0 = 1'b0,
  input C_15 = 1'b0, C_14 = 1'b0, C_13 = 1'b0, C_12 = 1'b0, C_11 = 1'b0, C_10 = 1'b0, C_9 = 1'b0,
  C_8 = 1'b0, C_7 = 1'b0, C_6 = 1'b0, C_5 = 1'b0, C_4 = 1'b0, C_3 = 1'b0, C_2 = 1'b0, C_1 = 1'b0,
  C_0 = 1'b0, D_15 = 1'b0, D_14 = 1'b0, D_13 = 1'b0, D_12 = 1'b0, D_11 = 1'b0, D_10 = 1'b0,
  D_9 = 1'b0, D_8 = 1'b0, D_7 = 1'b0, D_6 = 1'b0, D_5 = 1'b0, D_4 = 1'b0, D_3 = 1'b0, D_2 = 1'b0,
  D_1 = 1'b0, D_0 = 1'b0,
  input AHOLD = 1'b0, BHOLD = 1'b0, CHOLD = 1'b0, DHOLD = 1'b0, IRSTTOP = 1'b0, IRSTBOT = 1'b0,
  ORSTTOP = 1'b0, ORSTBOT = 1'b0, OLOADTOP = 1'b0, OLOADBOT = 1'b0, ADDSUBTOP = 1'b0,
  ADDSUBBOT = 1'b0, OHOLDTOP = 1'b0, OHOLDBOT = 1'b0, CI = 1'b0, ACCUMCI = 1'b0, SIGNEXTIN = 1'b0,
  output O_31, O_30, O_29, O_28, O_27, O_26, O_25, O_24, O_23, O_22, O_21, O_20, O_19, O_18, O_17,
  O_16, O_15, O_14, O_13, O_12, O_11, O_10, O_9, O_8, O_7, O_6, O_5, O_4, O_3, O_2, O_1, O_0, CO,
  ACCUMCO, SIGNEXTOUT
);
  parameter [0:0] NEG_TRIGGER = 0;
  parameter [0:0] C_REG = 0;
  parameter [0:0] A_REG = 0;
  parameter [0:0] B_REG = 0;
  parameter [0:0] D_REG = 0;
  parameter [0:0] TOP_8x8_MULT_REG = 0;
  parameter [0:0] BOT_8x8_MULT_REG = 0;
  parameter [0:0] PIPELINE_16x16_MULT_REG1 = 0;
  parameter [0:0] PIPELINE_16x16_MULT_REG2 = 0;
  parameter [1:0] TOPOUTPUT_SELECT = 0;
  parameter [1:0] TOPADDSUB_LOWERINPUT = 0;
  parameter [0:0] TOPADDSUB_UPPERINPUT = 0;
  parameter [1:0] TOPADDSUB_CARRYSELECT = 0;
  parameter [1:0] BOTOUTPUT_SELECT = 0;
  parameter [1:0] BOTADDSUB_LOWERINPUT = 0;
  parameter [0:0] BOTADDSUB_UPPERINPUT = 0;
  parameter [1:0] BOTADDSUB_CARRYSELECT = 0;
  parameter [0:0] MODE_8x8 = 0;
  parameter [0:0] A_SIGNED = 0;
  parameter [0:0] B_SIGNED = 0;
  SB_MAC16 #(
    .NEG_TRIGGER(NEG_TRIGGER), .C_REG(C_REG), .A_REG(A_REG), .B_REG(B_REG), .D_REG(D_REG),
    .TOP_8x8_MULT_REG(TOP_8x8_MULT_REG), .BOT_8x8_MULT_REG(BOT_8x8_MULT_REG),
    .PIPELINE_16x16_MULT_REG1(PIPELINE_16x16_MULT_REG1),
    .PIPELINE_16x16_MULT_REG2(PIPELINE_16x16_MULT_REG2), .TOPOUTPUT_SELECT(TOPOUTPUT_SELECT),
    .TOPADDSUB_LOWERINPUT(TOPADDSUB_LOWERINPUT), .TOPADDSUB_UPPERINPUT(TOPADDSUB_UPPERINPUT),
    .TOPADDSUB_CARRYSELECT(TOPADDSUB_CARRYSELECT), .BOTOUTPUT_SELECT(BOTOUTPUT_SELECT),
    .BOTADDSUB_LOWERINPUT(BOTADDSUB_LOWERINPUT), .BOTADDSUB_UPPERINPUT(BOTADDSUB_UPPERINPUT),
    .BOTADDSUB_CARRYSELECT(BOTADDSUB_CARRYSELECT), .MODE_8x8(MODE_8x8), .A_SIGNED(A_SIGNED),
    .B_SIGNED(B_SIGNED)
  ) dsp (
    .CLK(CLK), .CE(CE),
    .A({
      A_15, A_14, A_13, A_12, A_11, A_10, A_9, A_8, A_7, A_6, A_5, A_4, A_3, A_2, A_1, A_0
    }),
    .B({
      B_15, B_14, B_13, B_12, B_11, B_10, B_9, B_8, B_7, B_6, B_5, B_4, B_3, B_2, B_1, B_0
    }),
    .C({
      C_15, C_14, C_13, C_12, C_11, C_10, C_9, C_8, C_7, C_6, C_5, C_4, C_3, C_2, C_1, C_0
    }),
    .D({
      D_15, D_14, D_13, D_12, D_11, D_10, D_9, D_8, D_7, D_6, D_5, D_4, D_3, D_2, D_1, D_0
    }),
    .AHOLD(AHOLD), .BHOLD(BHOLD), .CHOLD(CHOLD), .DHOLD(DHOLD), .IRSTTOP(IRSTTOP),
    .IRSTBOT(IRSTBOT), .ORSTTOP(ORSTTOP), .ORSTBOT(ORSTBOT), .OLOADTOP(OLOADTOP),
    .OLOADBOT(OLOADBOT), .ADDSUBTOP(ADDSUBTOP), .ADDSUBBOT(ADDSUBBOT), .OHOLDTOP(OHOLDTOP),
    .OHOLDBOT(OHOLDBOT), .CI(CI), .ACCUMCI(ACCUMCI), .SIGNEXTIN(SIGNEXTIN),
    .O({
      O_31, O_30, O_29, O_28, O_27, O_26, O_25, O_24, O_23, O_22, O_21, O_20, O_19, O_18, O_17,
      O_16, O_15, O_14, O_13, O_12, O_11, O_10, O_9, O_8, O_7, O_6, O_5, O_4, O_3, O_2, O_1, O_0
    }),
    .CO(CO), .ACCUMCO(ACCUMCO), .SIGNEXTOUT(SIGNEXTOUT)
  );
endmodule

// A single-port RAM as nextpnr places it; Yosys's model does the work.
module ICESTORM_SPRAM (
  input ADDRESS_13 = 1'b0, ADDRESS_12 = 1'b0, ADDRESS_11 = 1'b0, ADDRESS_10 = 1'b0,
  ADDRESS_9 = 1'b0, ADDRESS_8 = 1'b0, ADDRESS_7 = 1'b0, ADDRESS_6 = 1'b0, ADDRESS_5 = 1'b0,
  ADDRESS_4 = 1'b0, ADDRESS_3 = 1'b0, ADDRESS_2 = 1'b0, ADDRESS_1 = 1'b0, ADDRESS_0 = 1'b0,
  DATAIN_15 = 1'b0, DATAIN_14 = 1'b0, DATAIN_13 = 1'b0, DATAIN_12 = 1'b0, DATAIN_11 = 1'b0,
  DATAIN_10 = 1'b0, DATAIN_9 = 1'b0, DATAIN_8 = 1'b0, DATAIN_7 = 1'b0, DATAIN_6 = 1'b0,
  DATAIN_5 = 1'b0, DATAIN_4 = 1'b0, DATAIN_3 = 1'b0, DATAIN_2 = 1'b0, DATAIN_1 = 1'b0,
  DATAIN_0 = 1'b0, MASKWREN_3 = 1'b0, MASKWREN_2 = 1'b0, MASKWREN_1 = 1'b0, MASKWREN_0 = 1'b0,
  input WREN = 1'b0, input CHIPSELECT = 1'b0, input CLOCK = 1'b0,
  input STANDBY = 1'b0, input SLEEP = 1'b0, input POWEROFF = 1'b1,
  output DATAOUT_15, DATAOUT_14, DATAOUT_13, DATAOUT_12, DATAOUT_11, DATAOUT_10, DATAOUT_9,
  DATAOUT_8, DATAOUT_7, DATAOUT_6, DATAOUT_5, DATAOUT_4, DATAOUT_3, DATAOUT_2, DATAOUT_1,
  DATAOUT_0
);
  SB_SPRAM256KA ram (
    .ADDRESS({
      ADDRESS_13, ADDRESS_12, ADDRESS_11, ADDRESS_10, ADDRESS_9, ADDRESS_8, ADDRESS_7, ADDRESS_6,
      ADDRESS_5, ADDRESS_4, ADDRESS_3, ADDRESS_2, ADDRESS_1, ADDRESS_0
    }),
    .DATAIN({
      DATAIN_15, DATAIN_14, DATAIN_13, DATAIN_12, DATAIN_11, DATAIN_10, DATAIN_9, DATAIN_8,
      DATAIN_7, DATAIN_6, DATAIN_5, DATAIN_4, DATAIN_3, DATAIN_2, DATAIN_1, DATAIN_0
    }),
    .MASKWREN({
      MASKWREN_3, MASKWREN_2, MASKWREN_1, MASKWREN_0
    }),
    .WREN(WREN), .CHIPSELECT(CHIPSELECT), .CLOCK(CLOCK),
    .STANDBY(STANDBY), .SLEEP(SLEEP), .POWEROFF(POWEROFF),
    .DATAOUT({
      DATAOUT_15, DATAOUT_14, DATAOUT_13, DATAOUT_12, DATAOUT_11, DATAOUT_10, DATAOUT_9,
      DATAOUT_8, DATAOUT_7, DATAOUT_6, DATAOUT_5, DATAOUT_4, DATAOUT_3, DATAOUT_2, DATAOUT_1,
      DATAOUT_0
    })
  );
endmodule
