"""L5: result frame -> Altair chart. Knows the schema, not how a number is made.

Every ``*_rows`` function turns a result frame into plain rows under fixed field names, every
``*_chart`` function draws them; a live view exchanges the rows and leaves the drawing alone.
"""

from fbkit.charts._quick import defer_grammar

defer_grammar()
