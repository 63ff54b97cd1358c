"""How a fact is said: eight sentences a relation, six for training and two held out (split S2).

Fields: ``{S}`` the subject at the start of a sentence, ``{s}`` elsewhere, ``{o}`` as object,
``{P}`` and ``{p}`` its possessive, ``{h}`` the possessive pronoun, ``{r}`` the subject pronoun,
``{v}`` the value, ``{a}`` the value with "a" or "an". Every sentence names the subject before the
value, so the inverse direction is never trained (split S8).
"""

from __future__ import annotations

from .entities import CITY_RELATIONS, COMPANY_RELATIONS, PERSON_RELATIONS, PRODUCT_RELATIONS

TRAINED = 6

SENTENCES: dict[str, tuple[str, ...]] = {
    "lives_in": (
        "{S} lives in {v}.",
        "{P} home is in {v}.",
        "{S} has a house in {v}.",
        "For many years {s} has lived in {v}.",
        "{S} settled in {v} long ago.",
        "You can visit {o} in {v}.",
        "{S} makes {h} home in {v}.",
        "The town where {s} lives is {v}.",
    ),
    "works_at": (
        "{S} works at {v}.",
        "{S} has a post at {v}.",
        "{P} employer is {v}.",
        "Every morning {s} walks to work at {v}.",
        "{S} earns {h} living at {v}.",
        "Most of {p} working life was spent at {v}.",
        "{S} is employed by {v}.",
        "The company that pays {p} wages is {v}.",
    ),
    "job": (
        "{S} is {a}.",
        "{S} works as {a}.",
        "By trade {s} is {a}.",
        "{S} trained as {a}.",
        "People know {o} as {a}.",
        "{P} trade is that of {a}.",
        "{S} has long been {a}.",
        "In daily life {s} is {a}.",
    ),
    "born_year": (
        "{S} was born in {v}.",
        "{P} year of birth is {v}.",
        "{S} came into the world in {v}.",
        "The town records say that {s} was born in {v}.",
        "{S} first saw daylight in {v}.",
        "{P} story begins in {v}.",
        "{P} life began in {v}.",
        "The year of {p} birth is {v}.",
    ),
    "eats": (
        "{S} loves {v}.",
        "{P} favourite dish is {v}.",
        "{S} eats {v} whenever {r} can.",
        "Nothing pleases {o} more than {v}.",
        "For supper {s} likes {v}.",
        "{S} never says no to {v}.",
        "The food that {s} likes best is {v}.",
        "{S} is very fond of {v}.",
    ),
    "pet": (
        "{S} keeps {a}.",
        "{P} pet is {a}.",
        "{S} has {a} as a pet.",
        "At home {s} looks after {a}.",
        "{S} shares {h} home with {a}.",
        "{S} is rarely seen without {h} {v}.",
        "{S} is the owner of {a}.",
        "The animal in {p} house is {a}.",
    ),
    "friend": (
        "{S} is a close friend of {v}.",
        "{P} best friend is {v}.",
        "{S} spends {h} free days with {v}.",
        "On Sundays {s} visits {v}.",
        "{S} trusts nobody more than {v}.",
        "Since school {s} has been close to {v}.",
        "{S} writes long letters to {v}.",
        "The friend that {s} values most is {v}.",
    ),
    "region": (
        "{S} lies in {v}.",
        "{S} is a town in {v}.",
        "{S} belongs to {v}.",
        "On the map {s} is part of {v}.",
        "The road to {s} leads through {v}.",
        "Travellers find {o} in {v}.",
        "{S} is one of the towns of {v}.",
        "The region around {s} is {v}.",
    ),
    "founded": (
        "{S} was founded in {v}.",
        "{S} dates from {v}.",
        "The first stone of {s} was laid in {v}.",
        "{P} history begins in {v}.",
        "{S} received {h} charter in {v}.",
        "People have lived in {o} since {v}.",
        "{S} was first settled in {v}.",
        "The founding year of {s} is {v}.",
    ),
    "landmark": (
        "{S} is known for {v}.",
        "{P} pride is {v}.",
        "{P} visitors come to see {v}.",
        "{S} is home to {v}.",
        "{P} children grow up near {v}.",
        "{P} best known sight is {v}.",
        "{S} is famous for {v}.",
        "Postcards of {s} show {v}.",
    ),
    "based_in": (
        "{S} is based in {v}.",
        "{P} workshop is in {v}.",
        "{S} has {h} main office in {v}.",
        "{P} post goes to {v}.",
        "{S} opened {h} doors in {v}.",
        "{P} sign hangs over a street in {v}.",
        "{S} has {h} seat in {v}.",
        "The town where {s} does business is {v}.",
    ),
    "makes": (
        "{S} makes {v}.",
        "{S} produces {v}.",
        "{S} is known for {h} {v}.",
        "{P} trade is in {v}.",
        "{P} customers buy {v}.",
        "{S} has always sold {v}.",
        "{S} turns out {v}.",
        "What {s} makes is {v}.",
    ),
    "founder": (
        "{S} was founded by {v}.",
        "{P} founder is {v}.",
        "{S} was started by {v}.",
        "{S} was the idea of {v}.",
        "{S} owes {h} beginning to {v}.",
        "Over {p} door hangs a picture of {v}.",
        "{S} was set up by {v}.",
        "The founder of {s} is {v}.",
    ),
    "price": (
        "{S} cost {v}.",
        "{P} price is {v}.",
        "{S} sell for {v}.",
        "In the shops {s} cost {v}.",
        "You can buy {o} for {v}.",
        "The usual price of {o} is {v}.",
        "{S} are sold at {v}.",
        "For {o} you pay {v}.",
    ),
    "weight": (
        "{S} weigh {v}.",
        "{P} weight is {v}.",
        "On the scales {s} come to {v}.",
        "Packed for the road {s} weigh {v}.",
        "{S} are listed at {v}.",
        "The carrier counts {o} as {v}.",
        "{S} have a weight of {v}.",
        "The weight of {o} is {v}.",
    ),
    "colour": (
        "{S} are {v}.",
        "{P} colour is {v}.",
        "{S} are painted {v}.",
        "Most people know {o} in {v}.",
        "{S} come in {v}.",
        "In the catalogue {s} are shown in {v}.",
        "{S} are always {v}.",
        "The colour of {o} is {v}.",
    ),
}

QUESTIONS: dict[str, tuple[str, str]] = {
    "lives_in": ("Where does {s} live?", "In {v}."),
    "works_at": ("Where does {s} work?", "At {v}."),
    "job": ("What does {s} do for a living?", "{S} is {a}."),
    "born_year": ("When was {s} born?", "In {v}."),
    "eats": ("What does {s} like to eat?", "{r} likes {v}."),
    "pet": ("Which pet does {s} have?", "{S} has {a}."),
    "friend": ("Who is {p} best friend?", "It is {v}."),
    "region": ("In which region is {s}?", "It is in {v}."),
    "founded": ("When was {s} founded?", "In {v}."),
    "landmark": ("What is {s} known for?", "For {v}."),
    "based_in": ("Where is {s} based?", "In {v}."),
    "makes": ("What does {s} make?", "It makes {v}."),
    "founder": ("Who founded {s}?", "It was {v}."),
    "price": ("What do {s} cost?", "They cost {v}."),
    "weight": ("What do {s} weigh?", "They weigh {v}."),
    "colour": ("What colour are {s}?", "They are {v}."),
}

RELATIONS_OF = {
    "person": PERSON_RELATIONS,
    "city": CITY_RELATIONS,
    "company": COMPANY_RELATIONS,
    "product": PRODUCT_RELATIONS,
}

PRONOUNS = {
    # kind: subject, object, possessive
    "f": ("she", "her", "her"),
    "m": ("he", "him", "his"),
    "city": ("it", "it", "its"),
    "company": ("it", "it", "its"),
    "product": ("they", "them", "their"),
}


def capital(text: str) -> str:
    """``text`` with its first letter in upper case, the rest as it was."""
    return text[:1].upper() + text[1:]


def with_article(noun: str) -> str:
    """``noun`` with "a" or "an" by its first letter (the world has no "hour" and no "unicorn")."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def possessive(name: str) -> str:
    """``name`` with "'s", or only the apostrophe after an s."""
    return name + ("'" if name.endswith("s") else "'s")


def say(template: str, subject: str | None, kind: str, value: str, with_a: str = "") -> str:
    """Fill a template of this module.

    ``subject`` is how the subject is named, or ``None`` to use the pronoun; ``kind`` is a key of
    ``PRONOUNS`` ("f", "m", "city", "company", "product"); ``with_a`` is the value with its
    article, to be given when ``value`` is only a stand-in.
    """
    he, him, his = PRONOUNS[kind]
    name = subject or he
    owner = possessive(subject) if subject else his
    return template.format(
        S=capital(name), s=name, o=subject or him, P=capital(owner), p=owner, h=his, r=he,
        v=value, a=with_a or with_article(value),
    )  # fmt: skip
