//! The emoji that the picker offers, with the words that they are found by and that a screen reader says.
//!
//! One line per emoji and its names in English; another language brings a table of its own.

use super::Phrase;

/// A group of the picker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Smileys,
    People,
    Nature,
    Food,
    Activity,
    Travel,
    Objects,
    Symbols,
}

impl Group {
    /// All groups, in their order.
    pub const ALL: [Group; 8] =
        [Group::Smileys, Group::People, Group::Nature, Group::Food, Group::Activity, Group::Travel, Group::Objects, Group::Symbols];

    /// What the group is called.
    pub fn phrase(self) -> Phrase<'static> {
        match self {
            Group::Smileys => Phrase::EmojiSmileys,
            Group::People => Phrase::EmojiPeople,
            Group::Nature => Phrase::EmojiNature,
            Group::Food => Phrase::EmojiFood,
            Group::Activity => Phrase::EmojiActivity,
            Group::Travel => Phrase::EmojiTravel,
            Group::Objects => Phrase::EmojiObjects,
            Group::Symbols => Phrase::EmojiSymbols,
        }
    }

    /// The emoji of the group and their names.
    pub fn emoji(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let table = match self {
            Group::Smileys => SMILEYS,
            Group::People => PEOPLE,
            Group::Nature => NATURE,
            Group::Food => FOOD,
            Group::Activity => ACTIVITY,
            Group::Travel => TRAVEL,
            Group::Objects => OBJECTS,
            Group::Symbols => SYMBOLS,
        };
        table.lines().filter_map(|line| line.split_once(' '))
    }
}

/// What an emoji is called, if it is one of the table's.
pub fn name(emoji: &str) -> Option<&'static str> {
    Group::ALL.into_iter().flat_map(Group::emoji).find(|(one, _)| *one == emoji).map(|(_, name)| name)
}

const SMILEYS: &str = "\
😀 grin
😃 happy smile
😄 laughing smile
😁 beaming smile
😆 laughing hard
😅 laughing with sweat
🤣 rolling on the floor laughing
😂 tears of joy
🙂 slight smile
🙃 upside down
😉 wink
😊 blushing smile
😇 angel halo
🥰 in love with hearts
😍 heart eyes
🤩 star eyes
😘 blowing a kiss
😋 yummy
😛 tongue out
😜 winking tongue
🤪 zany
🤗 hug
🤭 hand over mouth
🤫 hush
🤔 thinking
🫡 salute
🤐 zipped mouth
🤨 raised eyebrow
😐 neutral
😑 expressionless
🙄 rolling eyes
😏 smirk
😬 grimace
😌 relieved
😔 pensive
😪 sleepy
😴 asleep
😷 medical mask
🤒 fever
🤕 hurt bandage
🤢 nauseated
🤧 sneezing
🥵 hot
🥶 cold
🥴 woozy
🤯 mind blown
🥳 party
😎 cool sunglasses
🤓 nerd
🧐 monocle
😕 confused
😟 worried
🙁 frown
😮 surprised
😲 astonished
🥺 pleading
😢 crying
😭 sobbing
😱 screaming
😖 confounded
😞 disappointed
😩 weary
🥱 yawning
😤 huffing
😡 angry red
🤬 swearing
😈 devil
💀 skull
💩 poo
👻 ghost
👽 alien
🤖 robot
😺 cat smile
🙈 see no evil monkey
🙉 hear no evil monkey
🙊 speak no evil monkey";

const PEOPLE: &str = "\
👋 wave hello
🤚 back of hand
✋ raised hand
👌 ok
🤌 pinched fingers
✌️ victory peace
🤞 crossed fingers
🫶 heart hands
🤟 love you gesture
🤘 horns rock
🤙 call me
👈 pointing left
👉 pointing right
👆 pointing up
👇 pointing down
👍 thumbs up
👎 thumbs down
✊ raised fist
👊 fist bump
👏 clap
🙌 raised hands
👐 open hands
🤝 handshake
🙏 thank you please
💪 strong muscle
👀 eyes
🧠 brain
🗣️ speaking
👶 baby
🧒 child
👩 woman
👨 man
🧓 older person
🙋 raising hand
🤦 facepalm
🤷 shrug
🙅 no gesture
🙆 ok gesture
💁 tipping hand
🙇 bowing
👩‍💻 woman at computer
👨‍💻 man at computer
👩‍🍳 cook
👮 police officer
👷 construction worker
🦸 superhero
🧑‍🚀 astronaut
🏃 running
🚶 walking
💃 dancing
👯 people partying
👫 couple
👪 family";

const NATURE: &str = "\
🐶 dog
🐱 cat
🐭 mouse
🐹 hamster
🐰 rabbit
🦊 fox
🐻 bear
🐼 panda
🐨 koala
🐯 tiger
🦁 lion
🐮 cow
🐷 pig
🐸 frog
🐵 monkey
🐔 chicken
🐧 penguin
🐦 bird
🦆 duck
🦉 owl
🐺 wolf
🐴 horse
🦄 unicorn
🐝 bee
🦋 butterfly
🐌 snail
🐞 ladybird
🐢 turtle
🐍 snake
🐙 octopus
🐟 fish
🐬 dolphin
🐳 whale
🐘 elephant
🌵 cactus
🎄 christmas tree
🌲 tree
🌴 palm
🌱 seedling
🍀 clover luck
🍂 autumn leaves
🌹 rose
🌻 sunflower
🌸 blossom
💐 bouquet flowers
🌍 earth globe
🌙 moon
⭐ star
☀️ sun
⛅ cloudy
🌧️ rain
⛈️ storm
❄️ snow
⛄ snowman
🔥 fire
🌈 rainbow
🌊 wave sea";

const FOOD: &str = "\
🍏 green apple
🍎 red apple
🍐 pear
🍊 orange
🍋 lemon
🍌 banana
🍉 watermelon
🍇 grapes
🍓 strawberry
🍒 cherries
🍑 peach
🥝 kiwi
🍅 tomato
🥑 avocado
🥕 carrot
🌽 corn
🥔 potato
🍞 bread
🥐 croissant
🥨 pretzel
🧀 cheese
🥚 egg
🥓 bacon
🍔 burger
🍟 fries
🍕 pizza
🌭 hot dog
🌮 taco
🥗 salad
🍝 spaghetti
🍜 noodles
🍣 sushi
🍚 rice
🍦 ice cream
🍩 doughnut
🍪 cookie
🎂 birthday cake
🍰 cake
🍫 chocolate
🍬 sweet
🍿 popcorn
☕ coffee
🍵 tea
🥛 milk
🍺 beer
🍻 cheers beers
🥂 clinking glasses
🍷 wine
🍸 cocktail
🧊 ice";

const ACTIVITY: &str = "\
⚽ football
🏀 basketball
🏈 american football
⚾ baseball
🎾 tennis
🏐 volleyball
🏓 table tennis
🏸 badminton
🥊 boxing
⛳ golf
🎣 fishing
🎿 skiing
🏂 snowboard
🏊 swimming
🚴 cycling
🧗 climbing
🧘 yoga
🏆 trophy
🥇 gold medal
🎯 target
🎮 video game
🎲 dice
🧩 puzzle
♟️ chess
🎨 painting
🎭 theatre
🎤 microphone singing
🎧 headphones
🎸 guitar
🎹 piano
🎻 violin
🥁 drum
🎬 film
🎟️ ticket
🎉 party popper
🎊 confetti
🎈 balloon
🎁 present gift";

const TRAVEL: &str = "\
🚗 car
🚕 taxi
🚌 bus
🚑 ambulance
🚒 fire engine
🚚 lorry truck
🚜 tractor
🚲 bicycle
🛴 scooter
🏍️ motorbike
🚂 train
🚇 metro
✈️ plane
🚀 rocket
🚁 helicopter
⛵ sailing boat
🚢 ship
⚓ anchor
🗺️ map
🏔️ mountain
🏖️ beach
🏕️ camping
🏠 house
🏢 office
🏥 hospital
🏫 school
🏰 castle
⛪ church
🗽 statue of liberty
🗼 tower
🎡 ferris wheel
🌆 city at dusk
🌃 night
🌅 sunrise
⛽ petrol
🚦 traffic light
🧳 luggage";

const OBJECTS: &str = "\
⌚ watch
📱 phone
💻 laptop
⌨️ keyboard
🖨️ printer
📷 camera
📺 television
☎️ telephone
⏰ alarm clock
⏳ hourglass
🔋 battery
🔌 plug
💡 light bulb idea
🔦 torch
🕯️ candle
💸 money
💳 card
🔧 spanner
🔨 hammer
⚙️ gear
🔗 link
🔑 key
🔒 lock
🚪 door
🛏️ bed
🚿 shower
🛒 shopping
✉️ envelope
📧 e-mail
📦 parcel
📅 calendar
📈 chart up
📉 chart down
📌 pin
📎 paper clip
📝 note
📚 books
📖 open book
✏️ pencil
✂️ scissors
🗑️ bin
💊 pill
👓 glasses
👕 shirt
👖 jeans
👟 shoe
🎒 backpack
👑 crown
💍 ring
🌂 umbrella";

const SYMBOLS: &str = "\
❤️ red heart
🧡 orange heart
💛 yellow heart
💚 green heart
💙 blue heart
💜 purple heart
🖤 black heart
🤍 white heart
💔 broken heart
❣️ heart exclamation
💕 two hearts
💖 sparkling heart
💯 hundred
💢 anger
💥 boom
💫 dizzy
💦 splash
💤 sleep
💬 speech
💭 thought
✅ done check
✔️ tick
❌ no cross
❓ question
❗ exclamation
⚠️ warning
🚫 forbidden
⛔ stop
♻️ recycle
🔔 bell
🔕 bell off
🎵 music note
🎶 music notes
➕ plus
➖ minus
➡️ right arrow
⬅️ left arrow
⬆️ up arrow
⬇️ down arrow
🔄 again
🔴 red circle
🟢 green circle
🔵 blue circle
✨ sparkles
🏁 finish flag
🏳️‍🌈 rainbow flag";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_emoji_has_one_name() {
        let all: Vec<_> = Group::ALL.into_iter().flat_map(Group::emoji).collect();
        let distinct: HashSet<_> = all.iter().map(|(emoji, _)| emoji).collect();
        assert_eq!(all.len(), distinct.len());
        assert!(all.iter().all(|(emoji, name)| !emoji.is_ascii() && !name.is_empty() && name.is_ascii()));
        assert_eq!(name("👍"), Some("thumbs up"));
    }
}
