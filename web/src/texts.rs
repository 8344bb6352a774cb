//! Every word that a person reads or hears, in one place.
//!
//! A [`Phrase`] is what is meant; a language is a function from a phrase to words with one exhaustive match, so that a new language
//! that forgets one does not compile. Numbers that change a phrase are part of it, and each language has its own plural rule.
//! Dates and times are written by the browser in the same language (`shell::clock`).

pub mod emoji;
mod english;

use std::borrow::Cow;
use std::cell::Cell;

use yew::AttrValue;

use wasm_core::client::Failure;
use wasm_core::client::view::Stage;

/// The languages that the app speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
}

impl Language {
    /// The best language for a BCP 47 tag such as `en-GB`.
    pub fn of(tag: &str) -> Language {
        [Language::English].into_iter().find(|language| tag.starts_with(language.tag())).unwrap_or(Language::English)
    }

    /// The tag for `<html lang>` and for dates.
    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
        }
    }
}

thread_local! {
    static CURRENT: Cell<Language> = const { Cell::new(Language::English) };
}

/// Chooses the language from now on.
pub fn speak(language: Language) {
    CURRENT.set(language);
}

/// The language in use.
pub fn language() -> Language {
    CURRENT.get()
}

/// What the app has to say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phrase<'a> {
    AppName,
    Motto,
    Loading,
    Retry,
    PartMissing,
    Cancel,
    Close,
    Back,

    // Signing in
    SignInTitle,
    AddressLabel,
    AddressHint,
    PasswordLabel,
    ShowPassword,
    DeviceLabel,
    DeviceHint,
    SignIn,
    SigningIn,
    AddressMissing,
    PasswordMissing,
    SignInRefused,
    SignInTooOften,
    SignInUnreachable,
    SignInFailed(u16),
    SignInTooMany,
    Expelled,
    DeviceName {
        browser: &'a str,
        system: &'a str,
    },

    // Linking this device
    LinkTitle,
    LinkHint,
    LinkPicture,
    LinkCode,
    LinkRenewed(&'a str),
    LinkSend,
    LinkSendHint,
    LinkSendGo,
    LinkSentLabel,
    LinkSentHint,
    LinkWrongCode,
    LinkRefusedThere,
    LinkOver,
    LinkAgain,
    UsePassword,

    // Conversation list
    Conversations,
    SearchConversations,
    ClearSearch,
    NewConversation,
    NoConversationsTitle,
    NoConversationsHint,
    NothingFoundTitle,
    NothingFoundHint(&'a str),
    Unread(u32),
    Typing,
    TypingBy(&'a str),
    DraftMark,
    NotSentMark,
    You,

    // What waits for a decision
    MessagesWait(u32),
    WaitingTitle,
    WaitingHint,
    NothingWaits,
    MoreWait(u32),
    ChooseAll,
    Chosen(u32),
    AllChosen,
    GetNow,
    KeepForLater,
    KeepInHistory,
    Discard,
    DiscardForGood,
    DiscardHint(u32),
    AText,
    BeingDone,
    RemindedOn(&'a str),
    WaitsUntil(&'a str),
    Size(u64),

    // Thread
    MessagesWith(&'a str),
    ConversationWith(&'a str),
    NoThreadTitle,
    NoThreadHint,
    EmptyThreadTitle(&'a str),
    EmptyThreadHint,
    LoadingOlder,
    LoadOlder,
    BeginningOfThread(&'a str),
    Today,
    Yesterday,
    UnreadDivider,
    JumpToLatest,
    JumpToLatestNew(u32),
    /// How an article of the log is called.
    BubbleName {
        author: &'a str,
        time: &'a str,
    },
    NewMessageFrom {
        author: &'a str,
        text: &'a str,
    },
    TickSending,
    TickSent,
    TickDelivered,
    TickRead,
    TickFailed,
    Failed(Failure),
    Delete,
    Deleted,
    Undo,
    Flag,
    Unflag,
    Export,
    Reply,
    ReplyTo(&'a str),
    RepliesTo(&'a str),
    QuoteGone,
    CopyText,
    Details,
    LadderEmpty,
    /// One arrow, in words.
    LadderStep {
        from: &'a str,
        to: &'a str,
        what: &'a str,
    },
    Copied,
    CopyFailed,

    // Composer
    MessageLabel,
    MessagePlaceholder(&'a str),
    Send,
    CancelReply,
    ChooseEmoji,
    TooLong {
        over: u32,
    },

    // Emoji
    Emoji,
    SearchEmoji,
    NoEmoji,
    EmojiFailed,
    EmojiRecent,
    EmojiSmileys,
    EmojiPeople,
    EmojiNature,
    EmojiFood,
    EmojiActivity,
    EmojiTravel,
    EmojiObjects,
    EmojiSymbols,

    // Link
    Connection,
    LinkOffline,
    LinkOfflineHint,
    LinkLost,
    LinkConnecting,
    LinkConnectingIn(u32),
    LinkRefused(&'a str),
    TryNow,
    LinkOnline,
    /// Messages flow: how many milliseconds to the server and back.
    FlowProven(u32),
    /// They do not.
    FlowStopped(Stage),
    /// What the person can do about it.
    FlowAdvice(Stage),
    Repair,
    Repairing,
    StorageGone,
    UpdateReady,
    Reload,

    // New conversation
    NewConversationTitle,
    WhoLabel,
    WhoPlaceholder,
    WhoHint(&'a str),
    StartConversation,
    PeopleTitle,
    PeopleFailed,
    NoPeople,
    WhoEmpty,
    WhoSpaces,
    WhoNumber,
    WhoUser,
    WhoDomain,
    WhoSelf,

    // Settings
    Settings,
    OtherAddresses,
    ThisDevice(&'a str),
    Appearance,
    AppearanceSystem,
    AppearanceLight,
    AppearanceDark,
    Notifications,
    NotificationsBlocked,
    NotificationsUnsupported,
    NotificationsAlways,
    NotificationsWhileOpen,
    Sound,
    ShowText,
    ShowTextHint,
    Privacy,
    TellRead,
    TellTyping,

    // Preferences
    Preferences,
    ProfileHere,
    ProfileDefault(&'a str),
    Profiles,
    ProfileName,
    ProfileAdd,
    ProfileRename,
    ProfileMakeDefault,
    ProfileDelete,
    Away,
    AwayLater,
    AwayAsk,
    AwayStore,
    AwayDiscard,
    Late,
    LateExtend,
    Quiet,
    QuietFrom,
    QuietTo,
    QuietDays,
    /// A day of the week by its English beginning.
    Day(&'static str),
    Receivers,
    BlockedPeople,
    NobodyBlocked,
    Block,
    Unblock,
    UnblockName(&'a str),
    HaveBlocked(&'a str),
    NotSaved,

    // The rest of the settings
    Keyboard,
    KeySearch,
    KeyMove,
    KeyNew,
    KeySend,
    KeyLine,
    KeyEscape,
    Devices,
    PrimaryDevice,
    ThisOne,
    OnlineNow,
    LastSeen(&'a str),
    SignedOutDevice,
    Rename,
    Save,
    Next,
    MakePrimary,
    AllowAgain,
    SignOutThere,
    DismissHint,
    NotDone,
    TooManyDevices,
    LinkDevice,
    LinkCodeLabel,
    LinkCodeHint,
    LinkCodeUnknown,
    LinkAskTitle,
    LinkAskHint,
    Approve,
    Refuse,
    SignOut,
    SignOutTitle,
    SignOutHint,
    NewMessage,
}

impl Phrase<'_> {
    /// The words, in the language in use.
    pub fn words(self) -> Cow<'static, str> {
        match language() {
            Language::English => english::words(self),
        }
    }

    /// The words as Yew wants them in attributes and text.
    pub fn say(self) -> AttrValue {
        match self.words() {
            Cow::Borrowed(words) => AttrValue::Static(words),
            Cow::Owned(words) => AttrValue::from(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn plurals_follow_the_number() {
        assert_eq!(Phrase::Unread(1).words(), "1 unread message");
        assert_eq!(Phrase::Unread(2).words(), "2 unread messages");
        assert_eq!(Phrase::LinkConnectingIn(1).words(), "No connection. Trying again in 1 second.");
        assert_eq!(Phrase::LinkConnectingIn(9).words(), "No connection. Trying again in 9 seconds.");
    }
}
