"""What names say of when a scan or an image was taken: words and dates that part time points of one patient.

Patterns for names in small letters, or to be used without regard to case.
"""

DATE = r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
EVENT = "pre|post|before|after"
"""Of what, names may leave out. As a folder it is a time point; in a longer name (PRE, a hospital) it may be another
word."""
_COUNT = r"\d{1,4}(?!\d)[dwmy]?"
_COUNTED = rf"(?:time[-_. ]?point|time|tp|session|ses|visit|week|wk|day|month|year)[-_. ]?{_COUNT}"
_TREATMENT = "op|operative|operation|surgery|surgical|treatment|therapy|rt|radiation|radiotherapy|chemo|chemotherapy"
_OTHERS = (
    rf"(?<!\d)\d+[-_. ]?(?:day|week|month|year)s?|(?:{EVENT}|intra|during)[-_. ]?(?:{_TREATMENT})\d*"
    "|baseline|follow[-_. ]?up|ses-[a-z0-9]+"
)
WORD = rf"{_COUNTED}|(?:follow[-_. ]?up|fu){_COUNT}|{_OTHERS}"
OF_CASE = rf"(?:{_COUNTED}|(?:follow[-_. ]?up|fu)[-_. ]?{_COUNT})(?:[-_.]\d{{1,2}}(?!\d))*|{_OTHERS}"
"""Where each name is one scan: a number behind a follow-up counts it, and week-000-1 is the first scan of a week."""
