"""The parts of TensorFlow Lite's schema that are read, as data for the verifier and the reader.

The package `tflite` has accessors, but says neither which bytes they touch nor which enumeration
a number belongs to. A table is a line: its fields in the order of their slots, `name:type`.
`-` is a slot that is no longer used; `?` is a field that is never followed. (`external_buffer`
is of a newer schema than the package's.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tflite

#: Bytes of every scalar type.
SIZES = {
    "bool": 1, "byte": 1, "ubyte": 1, "int": 4, "uint": 4, "float": 4, "long": 8, "ulong": 8,
}  # fmt: skip

#: Scalars that stand for one of several names, with the type they are stored as.
ENUMS = {
    "ActivationFunctionType": "byte",
    "CombinerType": "byte",
    "CustomOptionsFormat": "byte",
    "FullyConnectedOptionsWeightsFormat": "byte",
    "LSHProjectionType": "byte",
    "LSTMKernelType": "byte",
    "MirrorPadMode": "byte",
    "Padding": "byte",
    "ReduceWindowFunction": "int",
    "RngAlgorithm": "byte",
    "StablehloComparisonDirection": "uint",
    "StablehloComparisonType": "uint",
    "TensorType": "byte",
}

#: Tables of one of several kinds; a union takes two slots, the kind's and the table's.
UNIONS = ("BuiltinOptions", "BuiltinOptions2", "QuantizationDetails")

_GRAPH = """
Model version:uint operator_codes:[OperatorCode] subgraphs:[SubGraph] description:string \
    buffers:[Buffer] metadata_buffer:? metadata:? signature_defs:?
OperatorCode deprecated_builtin_code:byte custom_code:string version:int builtin_code:int
SubGraph tensors:[Tensor] inputs:[int] outputs:[int] operators:[Operator] name:string \
    debug_metadata_index:int
Tensor shape:[int] type:TensorType buffer:uint name:string quantization:QuantizationParameters \
    is_variable:bool sparsity:? shape_signature:[int] has_rank:bool variant_tensors:? \
    external_buffer:uint
QuantizationParameters min:? max:? scale:[float] zero_point:[long] details:QuantizationDetails \
    quantized_dimension:int
CustomQuantization custom:?
Operator opcode_index:uint inputs:[int] outputs:[int] builtin_options:BuiltinOptions \
    custom_options:? custom_options_format:CustomOptionsFormat mutating_variable_inputs:? \
    intermediates:? large_custom_options_offset:ulong large_custom_options_size:ulong \
    builtin_options_2:BuiltinOptions2 debug_metadata_index:int
Buffer data:[ubyte] offset:ulong size:ulong
"""

_OPTIONS = """
Conv2DOptions padding:Padding stride_w:int stride_h:int \
    fused_activation_function:ActivationFunctionType dilation_w_factor:int \
    dilation_h_factor:int quantized_bias_type:TensorType
DepthwiseConv2DOptions padding:Padding stride_w:int stride_h:int depth_multiplier:int \
    fused_activation_function:ActivationFunctionType dilation_w_factor:int dilation_h_factor:int
Conv3DOptions padding:Padding stride_d:int stride_w:int stride_h:int \
    fused_activation_function:ActivationFunctionType dilation_d_factor:int \
    dilation_w_factor:int dilation_h_factor:int
TransposeConvOptions padding:Padding stride_w:int stride_h:int \
    fused_activation_function:ActivationFunctionType quantized_bias_type:TensorType
Pool2DOptions padding:Padding stride_w:int stride_h:int filter_width:int filter_height:int \
    fused_activation_function:ActivationFunctionType
FullyConnectedOptions fused_activation_function:ActivationFunctionType \
    weights_format:FullyConnectedOptionsWeightsFormat keep_num_dims:bool \
    asymmetric_quantize_inputs:bool quantized_bias_type:TensorType
BatchMatMulOptions adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool
AddOptions fused_activation_function:ActivationFunctionType pot_scale_int16:bool
SubOptions fused_activation_function:ActivationFunctionType pot_scale_int16:bool
MulOptions fused_activation_function:ActivationFunctionType
DivOptions fused_activation_function:ActivationFunctionType
L2NormOptions fused_activation_function:ActivationFunctionType
LocalResponseNormalizationOptions radius:int bias:float alpha:float beta:float
SoftmaxOptions beta:float
LeakyReluOptions alpha:float
GeluOptions approximate:bool
ReducerOptions keep_dims:bool
CumsumOptions exclusive:bool reverse:bool
ArgMaxOptions output_type:TensorType
ArgMinOptions output_type:TensorType
CastOptions in_data_type:TensorType out_data_type:TensorType
FakeQuantOptions min:float max:float num_bits:int narrow_range:bool
ConcatenationOptions axis:int fused_activation_function:ActivationFunctionType
ReshapeOptions new_shape:[int]
SqueezeOptions squeeze_dims:[int]
StridedSliceOptions begin_mask:int end_mask:int ellipsis_mask:int new_axis_mask:int \
    shrink_axis_mask:int offset:bool
SplitOptions num_splits:int
SplitVOptions num_splits:int
PackOptions values_count:int axis:int
UnpackOptions num:int axis:int
GatherOptions axis:int batch_dims:int
OneHotOptions axis:int
ShapeOptions out_type:TensorType
UniqueOptions idx_out_type:TensorType
MirrorPadOptions mode:MirrorPadMode
ReverseSequenceOptions seq_dim:int batch_dim:int
SpaceToDepthOptions block_size:int
DepthToSpaceOptions block_size:int
ResizeBilinearOptions - - align_corners:bool half_pixel_centers:bool
ResizeNearestNeighborOptions align_corners:bool half_pixel_centers:bool
SparseToDenseOptions validate_indices:bool
BucketizeOptions boundaries:[float]
RandomOptions seed:long seed2:long
SVDFOptions rank:int fused_activation_function:ActivationFunctionType \
    asymmetric_quantize_inputs:bool
RNNOptions fused_activation_function:ActivationFunctionType asymmetric_quantize_inputs:bool
SequenceRNNOptions time_major:bool fused_activation_function:ActivationFunctionType \
    asymmetric_quantize_inputs:bool
BidirectionalSequenceRNNOptions time_major:bool \
    fused_activation_function:ActivationFunctionType merge_outputs:bool \
    asymmetric_quantize_inputs:bool
LSTMOptions fused_activation_function:ActivationFunctionType cell_clip:float proj_clip:float \
    kernel_type:LSTMKernelType asymmetric_quantize_inputs:bool
UnidirectionalSequenceLSTMOptions fused_activation_function:ActivationFunctionType \
    cell_clip:float proj_clip:float time_major:bool asymmetric_quantize_inputs:bool \
    diagonal_recurrent_tensors:bool
BidirectionalSequenceLSTMOptions fused_activation_function:ActivationFunctionType \
    cell_clip:float proj_clip:float merge_outputs:bool time_major:bool \
    asymmetric_quantize_inputs:bool
ConcatEmbeddingsOptions num_channels:int num_columns_per_channel:[int] \
    embedding_dim_per_channel:[int]
EmbeddingLookupSparseOptions combiner:CombinerType
LSHProjectionOptions type:LSHProjectionType
SkipGramOptions ngram_size:int max_skip_size:int include_all_ngrams:bool
CallOptions subgraph:uint
CallOnceOptions init_subgraph_index:int
IfOptions then_subgraph_index:int else_subgraph_index:int
WhileOptions cond_subgraph_index:int body_subgraph_index:int
HashtableOptions table_id:int key_dtype:TensorType value_dtype:TensorType
VarHandleOptions container:string shared_name:string
StablehloConcatenateOptions dimension:long
StablehloBroadcastInDimOptions broadcast_dimensions:[long]
StablehloSliceOptions start_indices:[long] limit_indices:[long] strides:[long]
StablehloConvolutionOptions window_strides:[long] padding:[long] lhs_dilation:[long] \
    rhs_dilation:[long] window_reversal:[bool] input_batch_dimension:long \
    input_feature_dimension:long input_spatial_dimensions:[long] \
    kernel_input_feature_dimension:long kernel_output_feature_dimension:long \
    kernel_spatial_dimensions:[long] output_batch_dimension:long \
    output_feature_dimension:long output_spatial_dimensions:[long] feature_group_count:long \
    batch_group_count:long precision_config:[uint]
StablehloCustomCallOptions call_target_name:string has_side_effect:bool backend_config:string \
    api_version:int called_computations:[int] custom_attributes:[ubyte]
StablehloReduceOptions dimensions:[long] body_subgraph_index:int
StablehloScatterOptions indices_are_sorted:bool update_window_dims:[long] \
    inserted_window_dims:[long] scatter_dims_to_operand_dims:[long] index_vector_dim:long \
    unique_indices:bool update_computation_subgraph_index:int
StablehloCompareOptions comparison_direction:StablehloComparisonDirection \
    compare_type:StablehloComparisonType
StablehloDynamicSliceOptions slice_sizes:[long]
StablehloPadOptions edge_padding_low:[long] edge_padding_high:[long] interior_padding:[long]
StablehloIotaOptions iota_dimension:long
StablehloDotGeneralOptions lhs_batching_dimensions:[long] rhs_batching_dimensions:[long] \
    lhs_contracting_dimensions:[long] rhs_contracting_dimensions:[long] precision_config:[uint]
StablehloReduceWindowOptions window_dimensions:[long] window_strides:[long] \
    base_dilations:[long] window_dilations:[long] padding:[long] body_subgraph_index:int
StablehloSortOptions dimension:long is_stable:bool comparator_subgraph_index:int
StablehloWhileOptions cond_subgraph_index:int body_subgraph_index:int
StablehloGatherOptions offset_dims:[long] collapsed_slice_dims:[long] start_index_map:[long] \
    index_vector_dim:long slice_sizes:[long] indices_are_sorted:bool
StablehloTransposeOptions permutation:[long]
StablehloRngBitGeneratorOptions algorithm:RngAlgorithm
ReduceWindowOptions reduce_function:ReduceWindowFunction
StableHLOCompositeOptions name:string decomposition_subgraph_index:int \
    composite_attributes:[ubyte] composite_attributes_format:CustomOptionsFormat version:int
"""  # an options table that is not listed has no fields

#: The options of the operators that weft takes; None where an operator has none.
OPTIONS_OF: dict[str, str | None] = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "HARD_SWISH": "HardSwishOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "LOGISTIC": None,
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "QUANTIZE": "QuantizeOptions",
    "RELU": None,
    "RELU6": None,
    "RELU_0_TO_1": None,
    "RELU_N1_TO_1": None,
    "RESHAPE": "ReshapeOptions",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "SQUEEZE": "SqueezeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "TANH": None,
    "TRANSPOSE": "TransposeOptions",
}


@dataclass(frozen=True)
class Field:
    """One field of a table.

    Parameters
    ----------
    name : str
        The schema's, also the options' key.
    slot : int
        Its place in the vtable; a union's kind is there, its table in the next one.
    kind : str
        'scalar', 'string', 'scalars' and 'tables' (vectors), 'table', 'union' or 'ignored'.
    of : str
        The scalar's type or enumeration, the element's type, the table or the union.
    size : int
        Bytes of a scalar or of an element of a vector of scalars; of an offset otherwise.
    """

    name: str
    slot: int
    kind: str
    of: str
    size: int


def names_of(enumeration: str) -> dict[int, str]:
    """The names of an enumeration or union of the schema by number."""
    members: dict[str, Any] = vars(getattr(tflite, enumeration))
    return {number: name for name, number in members.items() if isinstance(number, int)}


def _field(name: str, slot: int, type_: str) -> Field:
    inner = type_.strip("[]")
    if type_ == "?":
        return Field(name, slot, "ignored", "", 4)
    if inner in UNIONS:
        return Field(name, slot, "union", inner, 4)
    if type_ == "string":
        return Field(name, slot, "string", "", 4)
    if inner not in SIZES and inner not in ENUMS:
        return Field(name, slot, "tables" if type_ != inner else "table", inner, 4)
    size = SIZES[ENUMS.get(inner, inner)]
    return Field(name, slot, "scalars" if type_ != inner else "scalar", inner, size)


def _parse(text: str) -> dict[str, tuple[tuple[Field, ...], int]]:
    tables = {}
    for line in text.strip().replace("\\\n", "").splitlines():
        table, *items = line.split()
        fields = []
        slot = 0
        for item in items:
            if item != "-":
                name, type_ = item.split(":")
                fields.append(_field(name, slot, type_))
                slot += type_ in UNIONS
            slot += 1
        tables[table] = (tuple(fields), slot)
    return tables


_KINDS = {union: names_of(union) for union in UNIONS}
_NO_FIELDS = {name: ((), 0) for kinds in _KINDS.values() for name in kinds.values()}

#: Of every table that is read: its fields, and the number of slots that the schema knows.
TABLES: dict[str, tuple[tuple[Field, ...], int]] = _NO_FIELDS | _parse(_GRAPH + _OPTIONS.strip())

#: Names by number, of every enumeration and union.
NAMES = {name: names_of(name) for name in ENUMS} | _KINDS
