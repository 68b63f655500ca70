"""The ids that token ids of all tokenizers begin with."""

PADDING = 0  # the id of every tokenizer
UNKNOWN = 1  # of Characters
FIRST = 2  # the id of an alphabet's first character, or of the first token of running text
