"""What names say of when a scan or an image was taken: words and dates that part time points of one patient."""

DATE = r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
EVENT = "pre|post|before|after"
"""Of what, names may leave out. As a folder it is a time point; in a longer name (PRE, a hospital) it may be another
word."""
_TREATMENT = "op|operative|operation|surgery|surgical|treatment|therapy|rt|radiation|radiotherapy|chemo|chemotherapy"
WORD = (
    r"(?:time[-_. ]?point|time|tp|session|ses|visit|week|wk|day|month|year|follow[-_. ]?up|fu)"
    rf"[-_. ]?\d+(?:[-_.]\d+)*[dwmy]?|(?<!\d)\d+[-_. ]?(?:day|week|month|year)s?|(?:{EVENT})[-_. ]?(?:{_TREATMENT})\d*"
    "|baseline|follow[-_. ]?up|ses-[a-z0-9]+"
)
"""Patterns for names in small letters, or to be used without regard to case."""
