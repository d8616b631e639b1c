"""Tables: mixed columns, missing cells, and the rules that rows keep."""
