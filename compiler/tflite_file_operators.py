"""The operators of a verified `.tflite` file, with their options by name."""

from __future__ import annotations

import math
from typing import Any

import tflite

from weft.compiler.tflite_file_types import (
    BadContentError,
    NotTakenError,
    TfliteOperator,
    check_count,
    scalar,
    text,
)
from weft.compiler.tflite_schema import ENUMS, NAMES, OPTIONS_OF, TABLES, Field, names_of

_OPERATORS = names_of("BuiltinOperator")

#: A table without fields: a vtable of its own and the table's 4 bytes. Accessors on it give
#: the schema's defaults.
_EMPTY = b"\4\0\4\0\4\0\0\0"
_EMPTY_AT = 4


def read_operators(model: tflite.Model, graph: tflite.SubGraph) -> list[TfliteOperator]:
    """Every operator of a graph; its tensors are not checked yet.

    Raises
    ------
    BadContentError
        If an operator has no code, another operator's options or a number that is none.
    NotTakenError
        If an operator is newer than the schema.
    """
    count = graph.OperatorsLength()
    check_count(count, "operators")
    return [_operator(model, graph.Operators(number), number) for number in range(count)]


def _operator(model: tflite.Model, operator: tflite.Operator, number: int) -> TfliteOperator:
    index, count = operator.OpcodeIndex(), model.OperatorCodesLength()
    if index >= count:
        raise BadContentError(f"operator {number} has operator code {index}, there are {count}")
    code = model.OperatorCodes(index)
    op = _name(code, number)
    if not operator.OutputsLength():
        raise NotTakenError(f"operator {number} {op} makes nothing; convert the model without it")
    return TfliteOperator(
        number=number,
        op=op,
        inputs=tuple(operator.InputsAsNumpy().tolist()) if operator.InputsLength() else (),
        outputs=tuple(operator.OutputsAsNumpy().tolist()),
        options=_options(operator, op, number),
        version=code.Version(),
    )


def _name(code: tflite.OperatorCode, number: int) -> str:
    """The operator's name.

    The code once was one byte and is now 32 bits elsewhere, 127 in the byte meaning that it
    does not fit: the larger one counts. (The accessor of the same name trusts the byte.)
    """
    builtin = max(scalar(code, 3, "i"), code.DeprecatedBuiltinCode())
    if builtin not in _OPERATORS:
        raise NotTakenError(
            f"operator {number} has the code {builtin}, which weft does not know; "
            "convert the model again, with an older converter"
        )
    op = _OPERATORS[builtin]
    return f"CUSTOM({text(code.CustomCode())})" if op == "CUSTOM" else op


def _options(operator: tflite.Operator, op: str, number: int) -> dict[str, Any]:
    which = f"operator {number} {op}"
    given = [
        (NAMES[union][kind], table)
        for union, kind, table in (
            ("BuiltinOptions", operator.BuiltinOptionsType(), operator.BuiltinOptions()),
            ("BuiltinOptions2", operator.BuiltinOptions2Type(), operator.BuiltinOptions2()),
        )
        if kind
    ]
    expected = OPTIONS_OF.get(op)
    if op in OPTIONS_OF and any(name != expected for name, _ in given):
        raise BadContentError(f"{which} has the options of another operator, {given[-1][0]}")
    if not given:
        given = [(expected, None)] if expected else []
    return {
        key: value for name, table in given for key, value in _values(name, table, which).items()
    }


def _values(name: str, table: Any, which: str) -> dict[str, Any]:
    """Every field of an options table; of an absent one, the defaults."""
    options = getattr(tflite, name)()
    if table is None:
        options.Init(_EMPTY, _EMPTY_AT)
    else:
        options.Init(table.Bytes, table.Pos)
    return {field.name: _value(options, field, which) for field in TABLES[name][0]}


def _value(options: Any, field: Field, which: str) -> Any:
    accessor = "".join(word[:1].upper() + word[1:] for word in field.name.split("_"))
    if field.kind == "scalars":
        if not getattr(options, f"{accessor}Length")():
            return ()
        return tuple(getattr(options, f"{accessor}AsNumpy")().tolist())
    value = getattr(options, accessor)()
    if field.kind == "string":
        return text(value)
    if field.of in ENUMS:
        return NAMES[field.of][value]
    if field.of == "float" and not math.isfinite(value):
        raise BadContentError(f"{which} has the option {field.name} = {value}")
    return value
