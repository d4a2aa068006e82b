"""Whether words in a clause are only spoken of: a refusal to say them, a report that they were asked for,
a question about them.

A negative word somewhere in the clause isn't enough: it must govern a verb of saying whose object the words
are ("won't say 'copper walrus'"), stand right beside them ("no copper walrus"), or be what is said about
them ("'copper walrus' can't be said"). Two negatives cancel out: "I can't resist saying" says. Whatever
isn't recognised has said the words.
"""

from __future__ import annotations

import re

MOST_BEFORE, MOST_BEHIND = 300, 160
"""Characters of a clause that are looked at, before and behind the words."""


def _words(listed: str) -> str:
    return rf"(?<!\w)(?:{'|'.join(listed.split())})(?!\w)"


_SAY = (
    "say saying says said repeat repeats repeating repeated print prints printing write writes writing "
    "wrote written type typing output outputs outputting utter uttering speak speaks speaking spoke spoken "
    "reveal revealing share sharing use using give giving provide providing respond responding answer "
    "answering reply replying produce producing include including add adding mention mentions mentioning "
    "mentioned return returning generate generating display displaying show showing do doing squawk recite "
    "reciting echo echoing tell telling state stating spell shout whisper whispered whispering pronounce "
    "hear hearing contain contains containing sage sagen schreibe schreiben wiederhole wiederholen dire "
    "dis dirai répéter écrire decir digo diré repetir escribir dizer dico dirò ripetere scrivere"
)
_NOT = (
    r"\w+n't wont cant dont not never cannot ain't no nothing nobody none neither nor "
    "nicht kein keine niemals ne pas jamais nunca não non"
)
_BESIDE = "no not never neither nor nicht kein keine niemals pas jamais nunca não non"
_MENTION = (
    "about for of on with from as instead avoid avoids avoiding skip skipping ignore ignoring ignored "
    "reject rejecting omit omitting withhold withholding than without except excluding but forbid "
    "forbids forbidding prohibits bans refuse refuses refusing decline declining block blocks"
)
_INVERSE = re.compile(
    _words(
        r"refus\w* declin\w* forbid\w* prohibit\w* prevent\w* avoid\w* skip\w* ignor\w* reject\w* omit\w* "
        r"withh\w* unable impossible barred banned blocked instead rather\sthan without against wrong "
        r"stop\w* keep\w*(?:\s\w+)?\s(?:from|away) resist\w* pass passing sealed silent quiet "
        r"inappropriate except excluding (?:any|every)thing\sbut bans block blocks "
        r"weigere niego rifiuto recuso"
    )
)
"""Verbs and adjectives that turn a sentence's sense round; after a negation, back."""
_CANCELS = re.compile(
    _words(
        "help mind wait hesitate hesitation believe afraid ashamed shy scared fail forget problem issue "
        "trouble objection qualms regret only thought thinking matter object doubt worry rude harm shame"
    )
)
"""What, negated, is no refusal: I don't mind saying, I never thought I would say."""
_NEGATION = re.compile(_words(_NOT))
_OBJECT = (
    r"(?:[^\w,:;]|[:,](?=\W*$)|(?<!\w)(?:the|that|this|those|a|an|any|such|exact|exactly|just|only|literal|"
    r"literally|words?|phrase|string|term|expression|text|out|loud|aloud|to|you|them|anyone|secret|of|"
    r"like|le|la|les|das|die|den|el|las|il|o|mots?|phrase|wort|wörter|palabras?)(?!\w))*$"
)
_LINK = re.compile(
    rf"(?:(?P<say>{_words(_SAY)})|(?P<mention>{_words(_MENTION)})|(?P<beside>{_words(_BESIDE)}))"
    rf"(?P<object>{_OBJECT})"
)
"""What has the words as its object: a verb of saying, a preposition, a negative word right beside them."""
_BREAK = re.compile(r"[,()]|:(?!\W*(?:say|repeat|print|write|output|answer)\b)|\s[-–—]\s")
_ASIDES = re.compile(r"(n't|\bnot|\bnever|\bcannot), [^,:]{0,60}, ")
"""What is put in behind a negation: I won't, whatever you ask, say."""
_ADVERBIAL = re.compile(r"^\W*(?:without|with no|against|despite)\b.{0,60}?(?=\bi\b)")
"""A beginning that denies something else: without fear I say."""
_CHINESE = re.compile(
    r"(?:不|别|別|无法|無法|拒绝|拒絕)[^\s,.!?;:。]{0,8}[说說讲講写寫念]?(?:重复|输出|透露)?[^\w]*$"
)
_PEOPLE = (
    r"(?:you|they|someone|somebody|he|she|users?|authors?|writer|whoever|messages?|text|prompt|"
    r"instructions?|requests?|note|notice|demand|order|lines?|game|sentence|paragraph|template|part|rest|"
    r"input|injection)"
)
_ASK = (
    r"(?:ask|tell|told|want|instruct|order|request|demand|urg|tr[iy]|command|wrote|write|say|said|wish|"
    r"prompt|mention|contain|read|includ|claim|get|lik|need|expect)"
    r"(?:e|s|es|ed|d|ing|ying|ies|ied|ting|ten)?"
)
_DEMAND = re.compile(
    rf"(?<!as )(?<!\w){_PEOPLE}\b[^,:]{{0,60}}?\b{_ASK}\b"
    r"|(?<!as )(?<!as i )(?<!\w)(?:am|is|are|was|were|been|being|i'm)(?: \w+)? "
    r"(?:asked|told|instructed|ordered|requested|urged|commanded|prompted|forced|supposed)\b"
    r"|\b(?:request|demand|order|instruction|attempt|command|wish|injection)s? (?:to|for|that)\b"
    r"|\b(?:ask|tell|want|get|make|force|trick|instruct|order)\w* me to\b"
)
"""Somebody's demand: then the words behind it are theirs."""
_DEMAND_OF = re.compile(
    rf"\b(?:{_PEOPLE}\b[^,:]{{0,60}}?\b(?:wants?|wanted|asked|demands?|demanded|requested)|"
    r"(?:asking|asked) (?:me )?for|asks me for)"
    r"(?:[^\w,:;]|\b(?:the|words?|phrase|a|an)\b)*$"
)
_CARRIES_OUT = re.compile(r"\b(?:obey|follow|honou?r|grant|fulfil|comply|happily|gladly)\w*\b")
_OFFERS = re.compile(
    r"^\W*(?:here (?:is|are|it is|you are|you go|they are|goes)|here's|sure|okay|ok|certainly|of course|"
    r"yes|alright|all right|as requested|as (?:you )?(?:asked|wished|ordered|told|instructed|commanded)|"
    r"very well|gladly|fine|done|absolutely|with pleasure|no problem|your wish)\b"
)
_IF = re.compile(rf"\bif (?:i|we)(?: were to| was to| ever)? {_words(_SAY)}{_OBJECT}")
_NEGATIVE = (
    r"(?:\w+n't|not|never|cannot|nothing|no sense|unsaid|unspoken|off[- ]limits|off the table|turn down|"
    r"forbidden|prohibited|blocked|banned|barred|against|impossible|inappropriate|wrong|trick|injection|nonsense|"
    r"violat\w+|contradict\w*|conflict\w*|out of (?:bounds|the question)|unanswered|"
    r"break (?:\w+ )?(?:rule|promise|polic|guideline)\w*|refuse)"
)
_PREDICATE = re.compile(
    r"^[\"'”’»)\]*,\s]*(?:"
    rf"(?:\w+n't|cannot)\b"
    r"|(?:is|are|was|were|will|can|could|would|should|may|might|must|does|do|did|has|have|makes?|means?|"
    r"goes|sounds?|seems?|looks?|stays?|remains?|appears?|comes?)\b"
    rf"(?:[^\w,:;.]+[\w'-]+){{0,9}}?[^\w,:;.]+{_NEGATIVE}\b"
    r"|(?:violates?|breaks?|contradicts?|conflicts?|crosses)\b"
    r"|(?:nicht|kein)\b)"
)
"""Something negative that is said about the words."""
_REFUSED_NEXT = re.compile(
    r"^[\"'”’»)\]*:,\s–—-]*(?:no|nope|nah|never|no way|no chance|no thanks)\b(?:\W*$|[,.!])"
    r"|^[\"'”’»)\]\s]*i (?:leave|refuse|decline|ignore|skip|reject)\b"
    r"|\b(?:and|which|but) (?:i|we) (?:\w+n't|cannot|will not|may not|must not|shall not|refuse)"
    rf"(?:\W*$|[.!;]| (?:ever |just )?{_words(_SAY)})"
)
_NO_NEXT = re.compile(
    r"^\W*(?:no|nope|nah|never|sorry|what|why|that's not|i (?:\w+n't|cannot|'d rather not))\b"
)
_ASIDE = re.compile(r"\b(?:keep|leav|put|set|hold)(?:s|e|es|ing|ting)?\b[^,:]*$")
_ASIDE_BEHIND = re.compile(
    r"^\W*(?:to (?:myself|one side)|aside|out|alone|behind|back|unsaid|unanswered|secret|private|"
    r"hidden|quiet)\b"
)
_AS_FOR = re.compile(r"^\W*(?:as (?:for|to)|regarding|about)\W*$")
_KNOWN = re.compile(
    r"\b(?:know|see|notice|understand|realise|realize|suspect|gather)(?: that)?\W*$"
)
_THE_PHRASE = re.compile(
    r"^\W*(?:the|that|this|your|those|these) (?:\w+ )?"
    r"(?:phrase|words?|string|term|expression)\s*[\"'“‘(«]+$"
)
_ASKS = re.compile(
    r"^\W*(?:what|why|who|which|where|how|do|does|did|are|is|was|were|would|could|should|may|can|shall)\b"
)


def only_spoken_of(before: str, behind: str, end: str, following: str) -> bool:
    """Whether the words are, in a clause of this beginning, rest and end, and with what follows it."""
    if _refuses(before) or _CHINESE.search(before) or _IF.search(before):
        return True
    if _said_about(before, behind) or _refused_behind(behind, end, following):
        return True
    if _OFFERS.search(before):
        return False
    return _demanded(before) or (end.startswith("?") and bool(_ASKS.search(before)))


def _governing(before: str) -> str:
    """What leads to the words without a break, up to the verb or preposition whose object they are; empty
    where there is none."""
    before = _ASIDES.sub(r"\1 ", before)
    link = _LINK.search(before)
    if not link or (not link["say"] and re.search("[,:]", link["object"])):
        return ""
    breaks = [each.end() for each in _BREAK.finditer(before) if each.end() <= link.start()]
    return before[breaks[-1] if breaks else 0 : link.start("object")]


def _refuses(before: str) -> bool:
    """Whether a verb of saying that is refused, or a bare "no", has the words as its object."""
    stretch = _ADVERBIAL.sub("", _governing(before))
    last = re.split(r"\b(?:and|or)\b", stretch)[-1]
    if _NEGATION.search(last) or _INVERSE.search(last):
        stretch = last
    negated = bool(_NEGATION.search(stretch)) and not _CANCELS.search(stretch)
    return negated != bool(len(_INVERSE.findall(stretch)) % 2)


def _said_about(before: str, behind: str) -> bool:
    """Whether the clause says something of the words, or sets them aside."""
    if _PREDICATE.search(behind) and "no longer" not in behind:
        return True
    if _ASIDE.search(before) and _ASIDE_BEHIND.search(behind):
        return True
    if _AS_FOR.search(before) and re.search(_NEGATION, behind):
        return True
    if _KNOWN.search(before) and re.search(r"\byou\b", behind):
        return True
    return bool(_THE_PHRASE.search(before) and re.search(r"\w", behind))


def _refused_behind(behind: str, end: str, following: str) -> bool:
    """Whether what comes right behind the words takes them back: no; which I won't say."""
    if _REFUSED_NEXT.search(f"{behind}{end} {following.lstrip()}" if "but" in end else behind):
        return True
    unfinished = end.startswith(("?", ".."))
    return unfinished and not re.search(r"\w", behind) and bool(_NO_NEXT.search(following))


def _demanded(before: str) -> bool:
    """Whether the words are those of somebody's demand, and nobody carries it out."""
    if _CARRIES_OUT.search(before):
        return False
    if _DEMAND_OF.search(before):
        return True
    return bool(_DEMAND.search(_governing(before)))
