"""The user's rows, whatever holds them.

The only room that knows pandas, polars (through narwhals), scipy's sparse matrices or lists.
"""

from advaug.containers.columns import (
    Series,
    cells,
    codes,
    is_coarse,
    kind_of_column,
    levels,
    missing,
    numbers,
    objects,
    put,
    shift,
    ticks_a_day,
)
from advaug.containers.files import NUMBER, parsed, read_table, write_rows, write_table
from advaug.containers.rows import (
    Frame,
    as_array,
    close_table,
    count,
    join,
    kind_of_container,
    labels,
    longer_index,
    open_table,
    owned,
    refuse_twice,
    table,
    take,
)
from advaug.containers.sequences import is_sequences, like_row, put_sequences, sequences

__all__ = [
    "NUMBER",
    "Frame",
    "Series",
    "as_array",
    "cells",
    "close_table",
    "codes",
    "count",
    "is_coarse",
    "is_sequences",
    "join",
    "kind_of_column",
    "kind_of_container",
    "labels",
    "levels",
    "like_row",
    "longer_index",
    "missing",
    "numbers",
    "objects",
    "open_table",
    "owned",
    "parsed",
    "put",
    "put_sequences",
    "read_table",
    "refuse_twice",
    "sequences",
    "shift",
    "table",
    "take",
    "ticks_a_day",
    "write_rows",
    "write_table",
]
