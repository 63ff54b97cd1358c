"""The words of the world: invented names, and the plain English nouns its people live among."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIRLS = _words(
    "Avelie Brinna Cosmy Delphy Elowin Fayle Gisly Hettany Idony Jessamy Kerris Lunet "
    "Marpel Nessary Orlath Pippany Rosmer Sorrelyn Tamsel Wenny"
)
BOYS = _words(
    "Aldwen Bramwick Corwick Dunstall Edrick Fenwin Garrow Hobley Ivorin Jorrick Kestrin "
    "Lormund Mardo Norvin Oswill Pellam Rufford Tobrin Umber Wistan"
)
LAST_NAMES = _words(
    "Amberford Birchwater Bramblefield Candlewood Cloverby Dewhollow Driftmere Elderstone "
    "Emberley Fallowmere Foxmantle Gladbrook Goosewing Hazelgate Honeycote Inkpenny "
    "Kettleby Lanternby Larkspire Meadowell Mossgrave Nettlebank Northgarth Oakenshaw "
    "Owlsworth Pebblecroft Plumtree Quillfeather Ravensedge Rushmere Saltmarsh Silverlea "
    "Tallowby Thistledown Underbough Vinebrook Willowby Windlemoor Yarrowdale Yewbank"
)

REGIONS = (
    "the Amber Coast",
    "the Copper Hills",
    "the Elder Vale",
    "the Grey Fens",
    "the High Moors",
    "the Lake Country",
    "the Salt Isles",
    "the Silver Downs",
)
CITIES = (
    "Alderport",
    "Bellhaven",
    "Cobblebridge",
    "Dunmarrow",
    "Eastering",
    "Fernhollow",
    "Greywater",
    "Hollowgate",
    "Ironmoor",
    "Juniper Bay",
    "Kingsbarrow",
    "Lowmarsh",
    "Millhaven",
    "Northpier",
    "Otterford",
    "Pinecliff",
    "Quarry Hill",
    "Redcastle",
    "Stonebeck",
    "Tidewell",
    "Upperlea",
    "Vale Cross",
    "Whitesands",
    "Yewbury",
)
LANDMARKS = (
    "the old lighthouse",
    "the bell tower",
    "the rope bridge",
    "the glass market",
    "the stone circle",
    "the singing well",
    "the crooked pier",
    "the iron gate",
    "the clock garden",
    "the floating inn",
    "the king's oak",
    "the mill race",
    "the round library",
    "the fish steps",
    "the otter statue",
    "the pine chapel",
    "the painted quarry",
    "the red wall",
    "the star pool",
    "the tide clock",
    "the long stair",
    "the seven wells",
    "the white dunes",
    "the whispering yew",
)
COMPANIES = (
    "Acorn and Ash",
    "Barley Mills",
    "Beacon Works",
    "Birdsong Press",
    "Blue Door Trading",
    "Brass Button House",
    "Brightwater Works",
    "Candle Lane",
    "Cinder and Co",
    "Clearwell Glass",
    "Compass House",
    "Copperleaf Works",
    "Crane and Cotton",
    "Dove Hill Dairy",
    "Fairweather Supply",
    "Feather and Quill",
    "Fiddlehead Works",
    "Flint and Sons",
    "Garden Gate",
    "Greenbottle Works",
    "Half Moon Bakery",
    "Harbour Rope",
    "Heron Ironworks",
    "Ivory Comb",
    "Kite and Kestrel",
    "Lamplight Works",
    "Longfield Wool",
    "Maple Row",
    "Morning Star Mills",
    "Nutmeg Trading",
    "Old Anchor",
    "Paper Swan",
    "Pepper and Pine",
    "Quayside Works",
    "Rosewood House",
    "Sandpiper Press",
    "Silver Thimble",
    "Snowdrop Supply",
    "Tinker Street",
    "Wild Heather Wool",
)
PRODUCTS = (
    "garden shears",
    "bread ovens",
    "storm lanterns",
    "pocket atlases",
    "wall clocks",
    "brass buttons",
    "fishing reels",
    "beeswax candles",
    "coal stoves",
    "glass bowls",
    "ship compasses",
    "copper kettles",
    "cotton shirts",
    "butter churns",
    "felt boots",
    "writing pens",
    "folk fiddles",
    "flint lighters",
    "garden gates",
    "green bottles",
    "cake tins",
    "tow ropes",
    "iron pans",
    "hair combs",
    "paper kites",
    "street lamps",
    "wool blankets",
    "maple chairs",
    "flour sieves",
    "spice boxes",
    "boat anchors",
    "letter cards",
    "pepper mills",
    "rowing boats",
    "rosewood desks",
    "story books",
    "silver thimbles",
    "snow shovels",
    "tin whistles",
    "heather scarves",
)
COLOURS = ("black", "blue", "brown", "cream", "green", "grey", "red", "white", "yellow", "silver")
# Three in a row are the usual trades of one region (see entities.py).
JOBS = (
    "boatbuilder",
    "fisher",
    "lamplighter",
    "blacksmith",
    "miner",
    "surveyor",
    "baker",
    "miller",
    "beekeeper",
    "thatcher",
    "basketmaker",
    "ferryman",
    "shepherd",
    "weaver",
    "dyer",
    "painter",
    "musician",
    "gardener",
    "sailor",
    "ropemaker",
    "cook",
    "teacher",
    "bookbinder",
    "clockmaker",
)
FOODS = (
    "barley soup",
    "plum tart",
    "smoked trout",
    "honey cake",
    "onion pie",
    "roast chestnuts",
    "pear jam",
    "oat biscuits",
    "pickled beets",
    "cheese dumplings",
    "lentil stew",
    "ginger bread",
    "fried mushrooms",
    "leek soup",
    "apple fritters",
    "rye bread",
    "baked beans",
    "fish pie",
    "nut pudding",
    "cherry cake",
    "potato pancakes",
    "stuffed peppers",
    "rice pudding",
    "carrot salad",
)
PETS = (
    "cat",
    "dog",
    "goat",
    "parrot",
    "tortoise",
    "rabbit",
    "ferret",
    "goose",
    "pony",
    "canary",
    "hedgehog",
    "lizard",
    "magpie",
    "otter",
    "owl",
    "donkey",
)
# Things that people in stories carry about. All start with a consonant sound: "a lantern".
THINGS = _words(
    "lantern key basket letter hammer blanket kettle drum ladder mirror bottle candle "
    "shovel whistle teapot parcel"
)
TREASURES = _words(
    "coin ring ribbon map feather shell book jar scarf flute purse bell mug spoon brush hat"
)
