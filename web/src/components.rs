//! The parts of the messenger: each draws what it is given and says what the person did.

pub mod bubble;
pub mod composer;
pub mod deferred;
pub mod emoji_picker;
pub mod extra;
pub mod ladder;
pub mod link_banner;
pub mod new_conversation;
pub mod settings;
pub mod settings_menu;
pub mod thread;
pub mod thread_list;
pub mod tick;
