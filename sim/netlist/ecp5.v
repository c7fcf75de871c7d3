// Cells of the ECP5 that Yosys has no model of, or one that is not whole. weft's own, written from
// Lattice's "ECP5 and ECP5-5G Family Data Sheet" (FPGA-DS-02012), "Memory User Guide"
// (FPGA-TN-02204), "sysDSP Usage Guide" (FPGA-TN-02205) and "sysCLOCK PLL/DLL Design and Usage
// Guide" (FPGA-TN-02200), and for nextpnr's cells from the parts that it packs into them.
//
// There are no delays. A parameter's value that a model does not have ends the build of the
// simulation, and an input's value that it does not have the simulation, with a sentence.

// A multiplier of 18 bits with registers at its operands, behind the product and at its output,
// each there where its clock is named.
module MULT18X18D (
  input A17 = 1'b0, A16 = 1'b0, A15 = 1'b0, A14 = 1'b0, A13 = 1'b0, A12 = 1'b0, A11 = 1'b0,
  A10 = 1'b0, A9 = 1'b0, A8 = 1'b0, A7 = 1'b0, A6 = 1'b0, A5 = 1'b0, A4 = 1'b0, A3 = 1'b0,
  A2 = 1'b0, A1 = 1'b0, A0 = 1'b0, B17 = 1'b0, B16 = 1'b0, B15 = 1'b0, B14 = 1'b0, B13 = 1'b0,
  B12 = 1'b0, B11 = 1'b0, B10 = 1'b0, B9 = 1'b0, B8 = 1'b0, B7 = 1'b0, B6 = 1'b0, B5 = 1'b0,
  B4 = 1'b0, B3 = 1'b0, B2 = 1'b0, B1 = 1'b0, B0 = 1'b0,
  output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
  P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0,
  input SIGNEDA = 1'b0, input SIGNEDB = 1'b0, input SOURCEA = 1'b0, input SOURCEB = 1'b0,
  input CLK0 = 1'b0, input CE0 = 1'b1, input RST0 = 1'b0,
  input CLK1 = 1'b0, CLK2 = 1'b0, CLK3 = 1'b0, CE1 = 1'b0, CE2 = 1'b0, CE3 = 1'b0, RST1 = 1'b0,
  RST2 = 1'b0, RST3 = 1'b0
);
  parameter REG_INPUTA_CLK = "NONE";
  parameter REG_INPUTA_CE = "CE0";
  parameter REG_INPUTA_RST = "RST0";
  parameter REG_INPUTB_CLK = "NONE";
  parameter REG_INPUTB_CE = "CE0";
  parameter REG_INPUTB_RST = "RST0";
  parameter REG_INPUTC_CLK = "NONE";
  parameter REG_INPUTC_CE = "CE0";
  parameter REG_INPUTC_RST = "RST0";
  parameter REG_PIPELINE_CLK = "NONE";
  parameter REG_PIPELINE_CE = "CE0";
  parameter REG_PIPELINE_RST = "RST0";
  parameter REG_OUTPUT_CLK = "NONE";
  parameter REG_OUTPUT_CE = "CE0";
  parameter REG_OUTPUT_RST = "RST0";
  parameter CLK0_DIV = "ENABLED";
  parameter CLK1_DIV = "ENABLED";
  parameter CLK2_DIV = "ENABLED";
  parameter CLK3_DIV = "ENABLED";
  parameter HIGHSPEED_CLK = "NONE";
  parameter GSR = "ENABLED";
  parameter CAS_MATCH_REG = "FALSE";
  parameter SOURCEB_MODE = "B_SHIFT";
  parameter MULT_BYPASS = "DISABLED";
  parameter RESETMODE = "SYNC";

  generate
    if (REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0")
      $fatal(1, "MULT18X18D: REG_INPUTA_CLK %0s is not modelled", REG_INPUTA_CLK);
    if (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0")
      $fatal(1, "MULT18X18D: REG_INPUTB_CLK %0s is not modelled", REG_INPUTB_CLK);
    if (REG_PIPELINE_CLK != "NONE" && REG_PIPELINE_CLK != "CLK0")
      $fatal(1, "MULT18X18D: REG_PIPELINE_CLK %0s is not modelled", REG_PIPELINE_CLK);
    if (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0")
      $fatal(1, "MULT18X18D: REG_OUTPUT_CLK %0s is not modelled", REG_OUTPUT_CLK);
    if (REG_INPUTA_CE != "CE0")
      $fatal(1, "MULT18X18D: REG_INPUTA_CE %0s is not modelled", REG_INPUTA_CE);
    if (REG_INPUTB_CE != "CE0")
      $fatal(1, "MULT18X18D: REG_INPUTB_CE %0s is not modelled", REG_INPUTB_CE);
    if (REG_PIPELINE_CE != "CE0")
      $fatal(1, "MULT18X18D: REG_PIPELINE_CE %0s is not modelled", REG_PIPELINE_CE);
    if (REG_OUTPUT_CE != "CE0")
      $fatal(1, "MULT18X18D: REG_OUTPUT_CE %0s is not modelled", REG_OUTPUT_CE);
    if (REG_INPUTA_RST != "RST0")
      $fatal(1, "MULT18X18D: REG_INPUTA_RST %0s is not modelled", REG_INPUTA_RST);
    if (REG_INPUTB_RST != "RST0")
      $fatal(1, "MULT18X18D: REG_INPUTB_RST %0s is not modelled", REG_INPUTB_RST);
    if (REG_PIPELINE_RST != "RST0")
      $fatal(1, "MULT18X18D: REG_PIPELINE_RST %0s is not modelled", REG_PIPELINE_RST);
    if (REG_OUTPUT_RST != "RST0")
      $fatal(1, "MULT18X18D: REG_OUTPUT_RST %0s is not modelled", REG_OUTPUT_RST);
    if (REG_INPUTC_CLK != "NONE")
      $fatal(1, "MULT18X18D: REG_INPUTC_CLK %0s is not modelled", REG_INPUTC_CLK);
    if (HIGHSPEED_CLK != "NONE")
      $fatal(1, "MULT18X18D: HIGHSPEED_CLK %0s is not modelled", HIGHSPEED_CLK);
    if (CAS_MATCH_REG != "FALSE")
      $fatal(1, "MULT18X18D: CAS_MATCH_REG %0s is not modelled", CAS_MATCH_REG);
    if (SOURCEB_MODE != "B_SHIFT")
      $fatal(1, "MULT18X18D: SOURCEB_MODE %0s is not modelled", SOURCEB_MODE);
    if (MULT_BYPASS != "DISABLED")
      $fatal(1, "MULT18X18D: MULT_BYPASS %0s is not modelled", MULT_BYPASS);
    if (RESETMODE != "SYNC")
      $fatal(1, "MULT18X18D: RESETMODE %0s is not modelled", RESETMODE);
  endgenerate

  localparam [0:0] A_REGISTER = REG_INPUTA_CLK == "CLK0";
  localparam [0:0] B_REGISTER = REG_INPUTB_CLK == "CLK0";
  localparam [0:0] PIPELINE = REG_PIPELINE_CLK == "CLK0";
  localparam [0:0] OUTPUT = REG_OUTPUT_CLK == "CLK0";

  wire [17:0] a = {
    A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
  };
  wire [17:0] b = {
    B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
  };
  reg [17:0] a_register = 0, b_register = 0;
  wire [17:0] a_used = A_REGISTER ? a_register : a;
  wire [17:0] b_used = B_REGISTER ? b_register : b;
  wire signed [18:0] a_wide = {SIGNEDA & a_used[17], a_used};
  wire signed [18:0] b_wide = {SIGNEDB & b_used[17], b_used};
  wire [35:0] multiplied = a_wide * b_wide;
  reg [35:0] pipeline_register = 0, output_register = 0;
  wire [35:0] product = PIPELINE ? pipeline_register : multiplied;
  assign {
    P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17,
    P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
  } = OUTPUT ? output_register : product;

  always @(posedge CLK0)
    if (CE0) begin
      a_register <= a;
      b_register <= b;
      pipeline_register <= multiplied;
      output_register <= product;
    end

  // Through which registers the signs go, and whether a reset waits for CE0, is not modelled.
  reg [1:0] signs = 0;
  reg known = 0;
  always @(posedge CLK0) begin
    known <= 1;
    signs <= {SIGNEDA, SIGNEDB};
    if (RST0) $fatal(1, "MULT18X18D: a reset is not modelled");
    if (SOURCEA || SOURCEB) $fatal(1, "MULT18X18D: operands of the block beside are not modelled");
    if (known && signs != {SIGNEDA, SIGNEDB})
      $fatal(1, "MULT18X18D: signs that change are not modelled");
  end
endmodule

// 18 kbit: 1,024 rows of 18 bits, seen from two ports in rows of 18 bits or fewer, or of 36 through
// both at once: port A writes and port B reads them.
module DP16KD (
  input DIA17 = 1'b0, DIA16 = 1'b0, DIA15 = 1'b0, DIA14 = 1'b0, DIA13 = 1'b0, DIA12 = 1'b0,
  DIA11 = 1'b0, DIA10 = 1'b0, DIA9 = 1'b0, DIA8 = 1'b0, DIA7 = 1'b0, DIA6 = 1'b0, DIA5 = 1'b0,
  DIA4 = 1'b0, DIA3 = 1'b0, DIA2 = 1'b0, DIA1 = 1'b0, DIA0 = 1'b0, ADA13 = 1'b0, ADA12 = 1'b0,
  ADA11 = 1'b0, ADA10 = 1'b0, ADA9 = 1'b0, ADA8 = 1'b0, ADA7 = 1'b0, ADA6 = 1'b0, ADA5 = 1'b0,
  ADA4 = 1'b0, ADA3 = 1'b0, ADA2 = 1'b0, ADA1 = 1'b0, ADA0 = 1'b0,
  input DIB17 = 1'b0, DIB16 = 1'b0, DIB15 = 1'b0, DIB14 = 1'b0, DIB13 = 1'b0, DIB12 = 1'b0,
  DIB11 = 1'b0, DIB10 = 1'b0, DIB9 = 1'b0, DIB8 = 1'b0, DIB7 = 1'b0, DIB6 = 1'b0, DIB5 = 1'b0,
  DIB4 = 1'b0, DIB3 = 1'b0, DIB2 = 1'b0, DIB1 = 1'b0, DIB0 = 1'b0, ADB13 = 1'b0, ADB12 = 1'b0,
  ADB11 = 1'b0, ADB10 = 1'b0, ADB9 = 1'b0, ADB8 = 1'b0, ADB7 = 1'b0, ADB6 = 1'b0, ADB5 = 1'b0,
  ADB4 = 1'b0, ADB3 = 1'b0, ADB2 = 1'b0, ADB1 = 1'b0, ADB0 = 1'b0,
  input CEA = 1'b1, input OCEA = 1'b1, input CLKA = 1'b0, input WEA = 1'b0, input RSTA = 1'b0,
  input CEB = 1'b1, input OCEB = 1'b1, input CLKB = 1'b0, input WEB = 1'b0, input RSTB = 1'b0,
  input CSA2 = 1'b0, CSA1 = 1'b0, CSA0 = 1'b0, CSB2 = 1'b0, CSB1 = 1'b0, CSB0 = 1'b0,
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
  DOA4, DOA3, DOA2, DOA1, DOA0, DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9,
  DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000";
  parameter CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter CEAMUX = "CEA";
  parameter CEBMUX = "CEB";
  parameter OCEAMUX = "OCEA";
  parameter OCEBMUX = "OCEB";
  parameter WEAMUX = "WEA";
  parameter WEBMUX = "WEB";
  parameter RSTAMUX = "RSTA";
  parameter RSTBMUX = "RSTB";
  parameter INIT_DATA = "STATIC";
  parameter GSR = "ENABLED";
  parameter WID = 0;
  // Not the vendor's: a file of 1,024 rows that are there from the start, instead of INITVAL_xx.
  parameter CONTENTS = "";
  parameter [319:0] INITVAL_00 = 320'd0;
  parameter [319:0] INITVAL_01 = 320'd0;
  parameter [319:0] INITVAL_02 = 320'd0;
  parameter [319:0] INITVAL_03 = 320'd0;
  parameter [319:0] INITVAL_04 = 320'd0;
  parameter [319:0] INITVAL_05 = 320'd0;
  parameter [319:0] INITVAL_06 = 320'd0;
  parameter [319:0] INITVAL_07 = 320'd0;
  parameter [319:0] INITVAL_08 = 320'd0;
  parameter [319:0] INITVAL_09 = 320'd0;
  parameter [319:0] INITVAL_0A = 320'd0;
  parameter [319:0] INITVAL_0B = 320'd0;
  parameter [319:0] INITVAL_0C = 320'd0;
  parameter [319:0] INITVAL_0D = 320'd0;
  parameter [319:0] INITVAL_0E = 320'd0;
  parameter [319:0] INITVAL_0F = 320'd0;
  parameter [319:0] INITVAL_10 = 320'd0;
  parameter [319:0] INITVAL_11 = 320'd0;
  parameter [319:0] INITVAL_12 = 320'd0;
  parameter [319:0] INITVAL_13 = 320'd0;
  parameter [319:0] INITVAL_14 = 320'd0;
  parameter [319:0] INITVAL_15 = 320'd0;
  parameter [319:0] INITVAL_16 = 320'd0;
  parameter [319:0] INITVAL_17 = 320'd0;
  parameter [319:0] INITVAL_18 = 320'd0;
  parameter [319:0] INITVAL_19 = 320'd0;
  parameter [319:0] INITVAL_1A = 320'd0;
  parameter [319:0] INITVAL_1B = 320'd0;
  parameter [319:0] INITVAL_1C = 320'd0;
  parameter [319:0] INITVAL_1D = 320'd0;
  parameter [319:0] INITVAL_1E = 320'd0;
  parameter [319:0] INITVAL_1F = 320'd0;
  parameter [319:0] INITVAL_20 = 320'd0;
  parameter [319:0] INITVAL_21 = 320'd0;
  parameter [319:0] INITVAL_22 = 320'd0;
  parameter [319:0] INITVAL_23 = 320'd0;
  parameter [319:0] INITVAL_24 = 320'd0;
  parameter [319:0] INITVAL_25 = 320'd0;
  parameter [319:0] INITVAL_26 = 320'd0;
  parameter [319:0] INITVAL_27 = 320'd0;
  parameter [319:0] INITVAL_28 = 320'd0;
  parameter [319:0] INITVAL_29 = 320'd0;
  parameter [319:0] INITVAL_2A = 320'd0;
  parameter [319:0] INITVAL_2B = 320'd0;
  parameter [319:0] INITVAL_2C = 320'd0;
  parameter [319:0] INITVAL_2D = 320'd0;
  parameter [319:0] INITVAL_2E = 320'd0;
  parameter [319:0] INITVAL_2F = 320'd0;
  parameter [319:0] INITVAL_30 = 320'd0;
  parameter [319:0] INITVAL_31 = 320'd0;
  parameter [319:0] INITVAL_32 = 320'd0;
  parameter [319:0] INITVAL_33 = 320'd0;
  parameter [319:0] INITVAL_34 = 320'd0;
  parameter [319:0] INITVAL_35 = 320'd0;
  parameter [319:0] INITVAL_36 = 320'd0;
  parameter [319:0] INITVAL_37 = 320'd0;
  parameter [319:0] INITVAL_38 = 320'd0;
  parameter [319:0] INITVAL_39 = 320'd0;
  parameter [319:0] INITVAL_3A = 320'd0;
  parameter [319:0] INITVAL_3B = 320'd0;
  parameter [319:0] INITVAL_3C = 320'd0;
  parameter [319:0] INITVAL_3D = 320'd0;
  parameter [319:0] INITVAL_3E = 320'd0;
  parameter [319:0] INITVAL_3F = 320'd0;
  wire [20479:0] initial_values = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39,
    INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32,
    INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B,
    INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24,
    INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D,
    INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16,
    INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F,
    INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
    INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
  };

  generate
    if (DATA_WIDTH_A != 1 && DATA_WIDTH_A != 2 && DATA_WIDTH_A != 4 && DATA_WIDTH_A != 9 &&
        DATA_WIDTH_A != 18 && DATA_WIDTH_A != 36)
      $fatal(1, "DP16KD: DATA_WIDTH_A %0s is not modelled", DATA_WIDTH_A);
    if (DATA_WIDTH_B != 1 && DATA_WIDTH_B != 2 && DATA_WIDTH_B != 4 && DATA_WIDTH_B != 9 &&
        DATA_WIDTH_B != 18 && DATA_WIDTH_B != 36)
      $fatal(1, "DP16KD: DATA_WIDTH_B %0s is not modelled", DATA_WIDTH_B);
    if (REGMODE_A != "NOREG" && REGMODE_A != "OUTREG")
      $fatal(1, "DP16KD: REGMODE_A %0s is not modelled", REGMODE_A);
    if (REGMODE_B != "NOREG" && REGMODE_B != "OUTREG")
      $fatal(1, "DP16KD: REGMODE_B %0s is not modelled", REGMODE_B);
    if (RESETMODE != "SYNC")
      $fatal(1, "DP16KD: RESETMODE %0s is not modelled", RESETMODE);
    if (CSDECODE_A != "0b000")
      $fatal(1, "DP16KD: CSDECODE_A %0s is not modelled", CSDECODE_A);
    if (CSDECODE_B != "0b000")
      $fatal(1, "DP16KD: CSDECODE_B %0s is not modelled", CSDECODE_B);
    if (WRITEMODE_A != "NORMAL")
      $fatal(1, "DP16KD: WRITEMODE_A %0s is not modelled", WRITEMODE_A);
    if (WRITEMODE_B != "NORMAL")
      $fatal(1, "DP16KD: WRITEMODE_B %0s is not modelled", WRITEMODE_B);
    if (CLKAMUX != "CLKA")
      $fatal(1, "DP16KD: CLKAMUX %0s is not modelled", CLKAMUX);
    if (CLKBMUX != "CLKB")
      $fatal(1, "DP16KD: CLKBMUX %0s is not modelled", CLKBMUX);
    if (CEAMUX != "CEA")
      $fatal(1, "DP16KD: CEAMUX %0s is not modelled", CEAMUX);
    if (CEBMUX != "CEB")
      $fatal(1, "DP16KD: CEBMUX %0s is not modelled", CEBMUX);
    if (OCEAMUX != "OCEA")
      $fatal(1, "DP16KD: OCEAMUX %0s is not modelled", OCEAMUX);
    if (OCEBMUX != "OCEB")
      $fatal(1, "DP16KD: OCEBMUX %0s is not modelled", OCEBMUX);
    if (WEAMUX != "WEA")
      $fatal(1, "DP16KD: WEAMUX %0s is not modelled", WEAMUX);
    if (WEBMUX != "WEB")
      $fatal(1, "DP16KD: WEBMUX %0s is not modelled", WEBMUX);
    if (RSTAMUX != "RSTA")
      $fatal(1, "DP16KD: RSTAMUX %0s is not modelled", RSTAMUX);
    if (RSTBMUX != "RSTB")
      $fatal(1, "DP16KD: RSTBMUX %0s is not modelled", RSTBMUX);
    if (INIT_DATA != "STATIC")
      $fatal(1, "DP16KD: INIT_DATA %0s is not modelled", INIT_DATA);
    if ((DATA_WIDTH_A == 36) != (DATA_WIDTH_B == 36) ||
        DATA_WIDTH_A == 36 && REGMODE_A != REGMODE_B)
      $fatal(1, "DP16KD: a block of 36 bits has them at both ports, and both outputs alike");
  endgenerate

  wire [13:0] ada = {
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
  };
  wire [13:0] adb = {
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
  };
  wire [17:0] dia = {
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
    DIA3, DIA2, DIA1, DIA0
  };
  wire [17:0] dib = {
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
    DIB3, DIB2, DIB1, DIB0
  };
  wire on_a = CEA && {CSA2, CSA1, CSA0} == 0;
  wire on_b = CEB && {CSB2, CSB1, CSB0} == 0;

  reg [17:0] memory [0:1023];
  integer i;
  initial
    if (CONTENTS != "") $readmemh(CONTENTS, memory);
    else
      // Sixteen rows in a parameter, each padded to 20 bits.
      for (i = 0; i < 1024; i = i + 1) memory[i] = initial_values[20 * i +: 18];

  // An address counts bits of 16 in a row. Rows of 9 bits have one more each; narrower ones leave
  // the ninth bit of a byte out, and what is below their width out of the address. The lowest bits
  // of the wide rows' addresses are byte enables.
  function automatic [4:0] first_bit(input [3:0] low, input integer width);
    if (width >= 18) first_bit = 0;
    else if (width == 9) first_bit = low[3] ? 9 : 0;
    else first_bit = {1'b0, low[3], low[2:0] & ~(width[2:0] - 3'd1)} + {4'd0, low[3]};
  endfunction
  function automatic [17:0] mask(input [3:0] low, input integer width);
    if (width >= 18) mask = {{9{low[1]}}, {9{low[0]}}};
    else mask = ((18'd1 << width) - 18'd1) << first_bit(low, width);
  endfunction
  function automatic [17:0] merged(input [17:0] row, input [17:0] data, input [17:0] bits);
    merged = row & ~bits | data & bits;
  endfunction

  wire [4:0] first_a = first_bit(ada[3:0], DATA_WIDTH_A);
  wire [4:0] first_b = first_bit(adb[3:0], DATA_WIDTH_B);
  wire [17:0] mask_a = mask(ada[3:0], DATA_WIDTH_A);
  wire [17:0] mask_b = mask(adb[3:0], DATA_WIDTH_B);
  localparam [17:0] KEPT_A = DATA_WIDTH_A >= 18 ? 18'h3FFFF : (18'd1 << DATA_WIDTH_A) - 18'd1;
  localparam [17:0] KEPT_B = DATA_WIDTH_B >= 18 ? 18'h3FFFF : (18'd1 << DATA_WIDTH_B) - 18'd1;

  reg [17:0] row_a = 0, row_b = 0, output_a = 0, output_b = 0;

  always @(posedge CLKA) begin
    if (RSTA) $fatal(1, "DP16KD: a reset is not modelled");
    if (on_a && WEA) begin
      if (DATA_WIDTH_A == 36) begin
        memory[{ada[13:5], 1'b0}] <=
          merged(memory[{ada[13:5], 1'b0}], dia, {{9{ada[1]}}, {9{ada[0]}}});
        memory[{ada[13:5], 1'b1}] <=
          merged(memory[{ada[13:5], 1'b1}], dib, {{9{ada[3]}}, {9{ada[2]}}});
      end else
        memory[ada[13:4]] <= merged(memory[ada[13:4]], dia << first_a, mask_a);
    end
  end

  always @(posedge CLKB) begin
    if (RSTB) $fatal(1, "DP16KD: a reset is not modelled");
    if (on_b && WEB) begin
      if (DATA_WIDTH_B == 36) $fatal(1, "DP16KD: port B of a block of 36 bits only reads");
      memory[adb[13:4]] <= merged(memory[adb[13:4]], dib << first_b, mask_b);
    end
    if (on_b && !WEB)
      row_b <= DATA_WIDTH_B == 36 ? memory[{adb[13:5], 1'b1}]
             : (memory[adb[13:4]] >> first_b) & KEPT_B;
    if (OCEB) output_b <= row_b;
  end

  // Of a block of 36 bits port B's clock and enables serve both halves of the output.
  generate
    if (DATA_WIDTH_A == 36) begin : pair
      always @(posedge CLKB) begin
        if (on_b && !WEB) row_a <= memory[{adb[13:5], 1'b0}];
        if (OCEB) output_a <= row_a;
        if (OCEA != OCEB) $fatal(1, "DP16KD: OCEA and OCEB of a block of 36 bits must be the same");
      end
    end else begin : single
      always @(posedge CLKA) begin
        if (on_a && !WEA) row_a <= (memory[ada[13:4]] >> first_a) & KEPT_A;
        if (OCEA) output_a <= row_a;
      end
    end
  endgenerate

  assign {
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4,
    DOA3, DOA2, DOA1, DOA0
  } = REGMODE_A == "OUTREG" ? output_a : row_a;
  assign {
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4,
    DOB3, DOB2, DOB1, DOB0
  } = REGMODE_B == "OUTREG" ? output_b : row_b;
endmodule

// The PLL, with its own output as feedback. Time in the simulation counts cycles of that output, so
// the reference passes through as it is; what the dividers make of its frequency is checked by
// whoever knows it.
module EHXPLLL (
  input CLKI, input CLKFB, input RST = 1'b0, input STDBY = 1'b0, input ENCLKOP = 1'b0,
  input ENCLKOS = 1'b0, input ENCLKOS2 = 1'b0, input ENCLKOS3 = 1'b0,
  input PHASESEL1 = 1'b0, input PHASESEL0 = 1'b0, input PHASEDIR = 1'b0, input PHASESTEP = 1'b0,
  input PHASELOADREG = 1'b0, input PLLWAKESYNC = 1'b0,
  output CLKOP, output reg LOCK
);
  parameter CLKI_DIV = 1;
  parameter CLKFB_DIV = 1;
  parameter CLKOP_DIV = 8;
  parameter CLKOP_ENABLE = "ENABLED";
  parameter CLKOP_CPHASE = 0;
  parameter CLKOP_FPHASE = 0;
  parameter FEEDBK_PATH = "CLKOP";
  parameter OUTDIVIDER_MUXA = "DIVA";
  parameter PLLRST_ENA = "DISABLED";
  parameter INTFB_WAKE = "DISABLED";
  parameter STDBY_ENABLE = "DISABLED";
  parameter DPHASE_SOURCE = "DISABLED";

  generate
    if (CLKOP_ENABLE != "ENABLED")
      $fatal(1, "EHXPLLL: CLKOP_ENABLE %0s is not modelled", CLKOP_ENABLE);
    if (FEEDBK_PATH != "CLKOP")
      $fatal(1, "EHXPLLL: FEEDBK_PATH %0s is not modelled", FEEDBK_PATH);
    if (OUTDIVIDER_MUXA != "DIVA")
      $fatal(1, "EHXPLLL: OUTDIVIDER_MUXA %0s is not modelled", OUTDIVIDER_MUXA);
    if (PLLRST_ENA != "DISABLED")
      $fatal(1, "EHXPLLL: PLLRST_ENA %0s is not modelled", PLLRST_ENA);
    if (INTFB_WAKE != "DISABLED")
      $fatal(1, "EHXPLLL: INTFB_WAKE %0s is not modelled", INTFB_WAKE);
    if (STDBY_ENABLE != "DISABLED")
      $fatal(1, "EHXPLLL: STDBY_ENABLE %0s is not modelled", STDBY_ENABLE);
    if (DPHASE_SOURCE != "DISABLED")
      $fatal(1, "EHXPLLL: DPHASE_SOURCE %0s is not modelled", DPHASE_SOURCE);
    if (CLKOP_FPHASE != 0)
      $fatal(1, "EHXPLLL: CLKOP_FPHASE %0s is not modelled", CLKOP_FPHASE);
  endgenerate

  assign CLKOP = CLKI;
  initial LOCK = 0;
  reg [3:0] waited = 0;
  always @(posedge CLKI) begin
    if (RST || STDBY || !ENCLKOP) $fatal(1, "EHXPLLL: a PLL that is switched off is not modelled");
    if (PHASESTEP || PHASELOADREG || PHASEDIR)
      $fatal(1, "EHXPLLL: a phase that changes is not modelled");
    if (!(&waited)) waited <= waited + 1'b1;
    LOCK <= &waited;
  end
endmodule

// A clock buffer that cannot be switched off.
module DCCA (input CLKI, input CE = 1'b1, output CLKO);
  assign CLKO = CLKI;
  always @(posedge CLKI)
    if (!CE) $fatal(1, "DCCA: a clock that is switched off is not modelled");
endmodule

// A pin that is always an input, or always an output.
module TRELLIS_IO (inout B, input I = 1'b0, input T = 1'b0, output O);
  parameter DIR = "INPUT";
  generate
    if (DIR == "INPUT") begin : in
      assign O = B;
    end else if (DIR == "OUTPUT") begin : out
      assign B = I;
      assign O = 1'b0;
    end else
      $fatal(1, "TRELLIS_IO: DIR %s is not modelled", DIR);
  endgenerate
  initial if (T) $fatal(1, "TRELLIS_IO: an output that floats is not modelled");
endmodule

// What nextpnr packs: half of a LUT5, with its half of a carry cell or of a larger multiplexer.
// Pins of a table that are open are 1, and nextpnr counts on it.
module TRELLIS_COMB (
  input A = 1'b1, input B = 1'b1, input C = 1'b1, input D = 1'b1, input M = 1'b0,
  input FCI = 1'b0, input F1 = 1'b0, input FXA = 1'b0, input FXB = 1'b0,
  input WD = 1'b0, input WAD0 = 1'b0, input WAD1 = 1'b0, input WAD2 = 1'b0, input WAD3 = 1'b0,
  input WRE = 1'b0, input WCK = 1'b0,
  output F, output FCO, output OFX
);
  parameter MODE = "LOGIC";
  parameter [15:0] INITVAL = 16'd0;
  parameter CCU2_INJECT1 = "NO";
  parameter WREMUX = "WRE";
  parameter WCKMUX = "WCK";
  parameter [0:0] IS_Z1 = 1'b0;

  generate
    if (MODE != "LOGIC" && MODE != "CCU2" && MODE != "DPRAM")
      $fatal(1, "TRELLIS_COMB: MODE %0s is not modelled", MODE);
    if (CCU2_INJECT1 != "YES" && CCU2_INJECT1 != "NO")
      $fatal(1, "TRELLIS_COMB: CCU2_INJECT1 %0s is not modelled", CCU2_INJECT1);
    if (WREMUX != "WRE")
      $fatal(1, "TRELLIS_COMB: WREMUX %0s is not modelled", WREMUX);
    if (WCKMUX != "WCK")
      $fatal(1, "TRELLIS_COMB: WCKMUX %0s is not modelled", WCKMUX);
  endgenerate

  wire [7:0] by_d = D ? INITVAL[15:8] : INITVAL[7:0];
  wire [3:0] by_c = C ? by_d[7:4] : by_d[3:0];
  wire [1:0] by_b = B ? by_c[3:2] : by_c[1:0];
  wire table_4 = A ? by_b[1] : by_b[0];
  wire [1:0] low_b = B ? INITVAL[3:2] : INITVAL[1:0];
  wire table_2 = A ? low_b[1] : low_b[0];

  generate
    if (MODE == "CCU2") begin : carry
      localparam [0:0] FREE = CCU2_INJECT1 != "YES";
      assign F = table_4 ^ (FREE & FCI);
      assign FCO = table_4 ? FCI : FREE & table_2;
    end else if (MODE == "DPRAM") begin : ram
      reg [15:0] cells;
      initial cells = INITVAL;
      always @(posedge WCK) if (WRE) cells[{WAD3, WAD2, WAD1, WAD0}] <= WD;
      // So nextpnr connects the read address, and orders INITVAL.
      assign F = cells[{A, C, B, D}];
      assign FCO = 1'b0;
    end else begin : logic_only
      assign F = table_4;
      assign FCO = 1'b0;
    end
  endgenerate

  assign OFX = IS_Z1 ? (M ? FXB : FXA) : (M ? F1 : F);
endmodule

// What stands before the write ports of four TRELLIS_COMB that are a memory.
module TRELLIS_RAMW (
  input A0 = 1'b1, input B0 = 1'b1, input C0 = 1'b1, input D0 = 1'b1,
  input A1 = 1'b1, input B1 = 1'b1, input C1 = 1'b1, input D1 = 1'b1,
  output WDO0, output WDO1, output WDO2, output WDO3,
  output WADO0, output WADO1, output WADO2, output WADO3
);
  assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
  assign {WDO3, WDO2, WDO1, WDO0} = {B1, D1, A1, C1};
endmodule

// A flip-flop. nextpnr's has a choice of its data's pin, SD.
module TRELLIS_FF (
  input CLK, input LSR = 1'b0, input CE = 1'b1, input DI = 1'b0, input M = 1'b0, output reg Q
);
  parameter GSR = "ENABLED";
  parameter CEMUX = "1";
  parameter CLKMUX = "CLK";
  parameter LSRMUX = "LSR";
  parameter SRMODE = "LSR_OVER_CE";
  parameter REGSET = "RESET";
  parameter LSRMODE = "LSR";
  parameter SD = "1";
  generate
    if (CEMUX != "1" && CEMUX != "0" && CEMUX != "CE" && CEMUX != "INV")
      $fatal(1, "TRELLIS_FF: CEMUX %0s is not modelled", CEMUX);
    if (CLKMUX != "CLK" && CLKMUX != "INV")
      $fatal(1, "TRELLIS_FF: CLKMUX %0s is not modelled", CLKMUX);
    if (LSRMUX != "LSR" && LSRMUX != "INV")
      $fatal(1, "TRELLIS_FF: LSRMUX %0s is not modelled", LSRMUX);
    if (SRMODE != "LSR_OVER_CE" && SRMODE != "ASYNC")
      $fatal(1, "TRELLIS_FF: SRMODE %0s is not modelled", SRMODE);
    if (REGSET != "SET" && REGSET != "RESET")
      $fatal(1, "TRELLIS_FF: REGSET %0s is not modelled", REGSET);
    if (LSRMODE != "LSR")
      $fatal(1, "TRELLIS_FF: LSRMODE %0s is not modelled", LSRMODE);
    if (SD != "0" && SD != "1")
      $fatal(1, "TRELLIS_FF: SD %0s is not modelled", SD);
  endgenerate

  localparam [0:0] START = REGSET == "SET";
  wire clock = CLKMUX == "INV" ? ~CLK : CLK;
  wire reset = LSRMUX == "INV" ? ~LSR : LSR;
  wire enable = CEMUX == "1" ? 1'b1 : CEMUX == "0" ? 1'b0 : CEMUX == "INV" ? ~CE : CE;
  wire data = SD == "0" ? M : DI;
  initial Q = START;
  generate
    if (SRMODE == "ASYNC") begin : asynchronous
      always @(posedge clock or posedge reset)
        if (reset) Q <= START;
        else if (enable) Q <= data;
    end else begin : synchronous
      always @(posedge clock)
        if (reset) Q <= START;
        else if (enable) Q <= data;
    end
  endgenerate
endmodule
