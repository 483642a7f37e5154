"""Words that decide: which are first names, which of those are words too, what must survive.

Owns the lists. First names and countries come from Faker (MIT), the lists written here from
reading; none is complete. Does not know how a text is searched (`cues`, `patterns`).
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module

NAME_LISTS = (
    "en en_US en_GB en_IE en_IN en_NZ en_KE en_NG en_PK es_ES es_MX fr_FR de_DE it_IT pl_PL pt_PT "
    "pt_BR nl_NL sv_SE no_NO fi_FI da_DK ro_RO hu_HU cs_CZ hr_HR sl_SI tr_TR yo_NG ha_NG ig_NG "
    "zu_ZA sw ga_IE id_ID lt_LT tw_GH"
).split()
"""Faker's lists of names in Latin letters that English chats are likely to hold."""

DAYS = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed weds thu "
    "thur thurs fri sat sun".split()
)
MONTHS = frozenset(
    "january february march april may june july august september october november "
    "december jan feb mar apr jun jul aug sep sept oct nov dec".split()
)

WORD_NAMES = frozenset(
    "charlotte sofia diana lorraine jordan austin victoria georgia troy florence "
    "chelsea sydney abbey ace add ah ali ally almond alto amber among angel art atlas "
    "autumn babe baby banks basil bea bee bell bent berry bill bird bishop bitten "
    "blessing bob bonny booker boss brain branch brown buck bud buddy bunk burns cam "
    "canal candy cap captain carol carry carter case cash chance chancey charity chase "
    "chin chip christian chuck cinnamon clay clement cliff cole colonel colt colum "
    "comfort con cooper coral cord council crystal daisy dale dawn deacon dean destiny "
    "doc dock doctor doll dolly dot drew duff duke earl early ebony echo edit elder "
    "else emerald era ever faith fancy fed fern fisher floor flora ford forest foster "
    "frank friend gale garnet gauge gay gene general genie ginger golden grace grant "
    "graves gray green gun guy hale hall ham handy hardy harm harmony harsh hazel heath "
    "heather heaven hence henna hill holly hoover hope hung hunt hunter ima imam "
    "immaculate imo infant innocent iris ivory ivy jack jasmine jay jet job journey joy "
    "judge junior justice kale kick king kip kit lady lance lane lark lassie laurel "
    "lavender lawyer le lemon less levy lily line link lino little long lot love loyal "
    "lucky mad magnolia major male man marine mark marry marvel mason mat mate math "
    "mats melody mercy merry mick mickey mile miles miller minor misty my myrtle nail "
    "nan nana nanna ned noble noel north nova odd olive opal orange owe page park pat "
    "patience patsy patty paw peace pearl peer penny pepper per pier pink piper "
    "pleasant poppy precious press price prince princess queen raid ransom raven ray "
    "reason red reed rex rice rich ridge river roar rob robin rock rod roll romaine "
    "rose rosemary ruby rush rusty sad sage said saint sally sandy sayin scarlet "
    "serenity shade shelly shepherd sherry silver sing sister skip sky sole son sonny "
    "spring star sterling stone storm stormy sue summer sunny sunshine tab tad tea "
    "telly theres ties till tiny toby tod tone toy trace treasure trinity true tucker "
    "ty unknown uno urs us ute van victor victory vid villa viola violet viva wade wage "
    "walker ward wash weaver west will willow wing winter wolf wood woody worth yoga "
    "young".split()
)
"""First names that are English words too, from those of Faker's that the bundled chats also use in
lower case and from reading. With a capital inside a sentence they count as names, else only after
a cue."""

CUE_NAMES = (
    DAYS
    | MONTHS
    | frozenset(
        "adelaide alexandria america asia berlin bristol brittany brooklyn caesar "
        "carolina chester china christ crete cuba dakota dallas denver devon easter "
        "essex florida german houston idris india indiana indie ireland israel jesus "
        "kent kenya kingston lincoln london lourdes madison madonna melbourne memphis "
        "mercedes messiah milan nevada odessa olympia orlando paris phoenix portia "
        "preston reno roma roman rome santa savannah siena tennessee texas valencia "
        "venice verona viking virginia washington wellington york zion".split()
    )
)
"""First names that are days, months, places, or what one calls a relative: names after a cue only.
From reading."""

RELATIONS = frozenset(
    "sister brother sis bro mum mom mam mother dad father son daughter wife husband "
    "partner girlfriend boyfriend fiance fiancé fiancee fiancée ex cousin aunt auntie "
    "uncle niece nephew gran grandma granny nan nana grandpa grandad grandfather "
    "grandmother grandson granddaughter stepdad stepmum stepmom stepson stepdaughter "
    "stepfather stepmother stepsister stepbrother godmother godson sister-in-law "
    "brother-in-law mother-in-law father-in-law friend friends mate bestie buddy pal "
    "roommate flatmate housemate neighbour neighbor boss manager supervisor colleague "
    "coworker co-worker teacher tutor professor therapist counsellor counselor "
    "psychologist psychiatrist doctor gp nurse midwife coach trainer landlord landlady "
    "kid kids boy girl baby toddler twin carer caseworker sponsor pastor priest lad "
    "lass eldest youngest oldest team-mate teammate".split()
)

TITLES = (
    r"Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Doctor|Nurse|Auntie|Aunt|Uncle|Pastor|Father|Coach|Sir"
)

MEDICINES = frozenset(
    "sertraline zoloft lustral fluoxetine prozac citalopram celexa cipramil "
    "escitalopram lexapro cipralex paroxetine paxil seroxat fluvoxamine luvox "
    "venlafaxine effexor desvenlafaxine pristiq duloxetine cymbalta mirtazapine remeron "
    "zispin bupropion wellbutrin trazodone vortioxetine trintellix brintellix "
    "vilazodone viibryd amitriptyline elavil nortriptyline clomipramine imipramine "
    "dosulepin lofepramine doxepin phenelzine nardil tranylcypromine moclobemide "
    "agomelatine ketamine esketamine spravato lithium priadel lithobid lamotrigine "
    "lamictal valproate depakote epilim carbamazepine tegretol quetiapine seroquel "
    "olanzapine zyprexa aripiprazole abilify risperidone risperdal lurasidone latuda "
    "cariprazine vraylar haloperidol clozapine diazepam valium lorazepam ativan "
    "alprazolam xanax clonazepam klonopin temazepam buspirone buspar hydroxyzine atarax "
    "propranolol inderal pregabalin lyrica gabapentin neurontin zopiclone zolpidem "
    "ambien eszopiclone lunesta melatonin promethazine trazadone methylphenidate "
    "ritalin concerta lisdexamfetamine vyvanse elvanse adderall dexamfetamine "
    "atomoxetine strattera guanfacine intuniv ibuprofen advil nurofen paracetamol "
    "tylenol acetaminophen aspirin codeine tramadol omeprazole levothyroxine metformin "
    "insulin prednisone naltrexone methadone buprenorphine".split()
)
"""Members of the WHO's ATC groups N03, N05 and N06 and everyday medicines, with brands; written
from memory of the groups, not copied from a register, and not complete."""

SURVIVES = (
    DAYS
    | MONTHS
    | MEDICINES
    | RELATIONS
    | frozenset(
        "mr mrs ms miss mx dr prof professor sir mondays tuesdays wednesdays thursdays "
        "fridays saturdays sundays a an and are be but by did do does for has have he "
        "her hers him his how if in is it its let me mine more most my never no nobody "
        "none not nothing of on one or our ours she so some somebody someone something "
        "still such than that the their theirs them then there these they this those to "
        "too two us was we well were what when where which who whom whose why will with "
        "you your yours everyone everybody anyone anybody both each every just really "
        "very honestly love star advice queen lady somehow because since until while i "
        "i'm i'd i've i'll ok okay god jesus christ lord christmas easter eid diwali "
        "ramadan thanksgiving halloween hanukkah lent advent monday-ish today tomorrow "
        "tonight yesterday phq phq-9 phq9 phq-8 gad gad-7 gad7 gp nhs cbt dbt emdr adhd "
        "ptsd ocd ibs bpd ssri ssris snri er a&e ecg mri tv hr pe uk usa eu pm am mg ml "
        "google netflix youtube whatsapp facebook instagram tiktok spotify zoom uber "
        "siri alexa excel bible quran daddy mummy mama papa mam mommy granny thanks hi "
        "hello hey dear sorry yes please bless english french german spanish italian "
        "polish latin british american irish scottish welsh european samaritans shout "
        "lifeline greek danish dutch swedish norwegian finnish russian ukrainian "
        "turkish arabic hindi urdu punjabi bengali chinese japanese korean portuguese "
        "brazilian mexican indian pakistani african asian australian canadian jewish "
        "muslim christian catholic hindu sikh buddhist".split()
    )
)
"""What is never a name, a place or an organisation, whatever finds it: times, doses' names,
relatives, questionnaires, care and everyday words."""


IDIOMS = re.compile(
    r"for pete['’]s sake|jack of all trades|bob['’]s your uncle|keep\w* up with the joneses"
    r"|murphy['’]s law|sod['’]s law|peeping tom|tom,? dick,? (?:and|or) harry|adam['’]s apple"
    r"|pandora['’]s box|smart ale[ck]|nervous nell(?:y|ie)|debbie downer|negative nancy|plain jane"
    r"|average joe|uncle sam|florence nightingale|rob(?:bing)? peter to pay paul|hobson['’]s choice"
    r"|occam['’]s razor|freudian|father christmas|mother teresa|jekyll and hyde"
    r"|st\.? john['’]s wort"
    r"|(?:parkinson|alzheimer|crohn|hashimoto|asperger|graves|raynaud|m[eé]ni[eè]re|huntington"
    r"|tourette)"
    r"(?:['’]?s)?\b",
    re.IGNORECASE,
)
"""Phrases and illnesses that name somebody whom nobody means. From reading."""


@cache
def first_names() -> Mapping[str, str]:
    """Give each first name, in lower case, with "f", "m" or "" where it is either."""
    genders: dict[str, set[str]] = {}
    for locale in NAME_LISTS:
        provider = import_module(f"faker.providers.person.{locale}").Provider
        listed = {
            "f": getattr(provider, "first_names_female", ()),
            "m": getattr(provider, "first_names_male", ()),
            "": getattr(provider, "first_names", ()),
        }
        for gender, names in listed.items():
            for name in names:
                genders.setdefault(name.casefold(), set()).add(gender)
    return {name: _gender(found) for name, found in genders.items() if len(name) > 1}


def _gender(found: set[str]) -> str:
    known = found - {""}
    return known.pop() if len(known) == 1 else ""


@cache
def large_places() -> frozenset[str]:
    """Give countries and states in lower case, which Safe Harbor lets stand."""
    world = import_module("faker.providers.address").Provider
    states = import_module("faker.providers.address.en_US").Provider.states
    small = "england scotland wales ireland britain usa america europe africa asia australia canada"
    return frozenset(each.casefold() for each in (*world.countries, *states)) | set(small.split())


def is_clear_name(word: str) -> bool:
    """Whether a word is a first name and nothing else, in whatever case."""
    low = word.casefold()
    return low in first_names() and low not in WORD_NAMES | CUE_NAMES | SURVIVES


def is_name(word: str) -> bool:
    """Whether a word can be a first name."""
    return word.casefold() in first_names() and word.casefold() not in SURVIVES
