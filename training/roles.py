"""What the columns of a row of training tokens hold; data.py says which columns there are."""

PAD, USER, ASSISTANT, REMINDER = 2, 3, 4, 8           # ids, by the order of dialect.SPECIAL
NONE, CONTEXT, LEARNED, PRACTICE = 0, 1, 2, 3         # roles: unlearned; what is read; a call or an answer; plain copying
NAME = 128                                            # added to the number of a function where its name stands
PADDING = 255                                         # the segment of what fills a row up
