//! `GET /api/export`: all that is kept for a person, as a ZIP that they can open: `messages-*.jsonl` for programs, a plain text per
//! conversation for people, their devices, preferences, drafts and folders.
//!
//! Written while it is read: a page of the store at a time, in files of a few megabytes, so that memory stays bounded whatever the box
//! holds. The ZIP is of stored or deflated members with their sizes known [APPNOTE 4.3], with the 64-bit end record where it needs one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::{Semaphore, mpsc};
use wasm_core::cpm::history::{Folder, Object};

use crate::edge::Gateway;
use crate::edge::http::ApiError;
use crate::edge::session::Signed;
use crate::store::{DocumentKind, Store, StoreError, UserId};

/// How large a member grows before the next is begun.
const MEMBER: usize = 2 << 20;
/// How many objects are read at a time.
const PAGE: usize = 500;
/// How many exports go on at the same time: each holds a thread.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// What is on its way to the browser.
struct Stream(mpsc::Receiver<Result<Bytes, StoreError>>);

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// `GET /api/export`
pub async fn download(State(gateway): State<Arc<Gateway>>, signed: Signed) -> Result<Response, ApiError> {
    let Ok(permit) = AT_ONCE.try_acquire() else {
        return Err(ApiError::too_many(std::time::Duration::from_secs(30)));
    };
    let (sender, receiver) = mpsc::channel(2);
    let (store, user) = (Arc::clone(&gateway.store), signed.account.user);
    let devices = gateway.devices.list(user, &signed.session.instance);
    let devices = serde_json::to_vec_pretty(&devices).unwrap_or_default();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut zip = Zip { sender: &sender, written: 0, directory: Vec::new(), members: 0 };
        if let Err(Stopped::Store(error)) = export(&*store, user, &devices, &mut zip) {
            tracing::error!(%error, "an export failed");
            // The browser is told that the file is not whole.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let headers = [(header::CONTENT_TYPE, "application/zip"), (header::CONTENT_DISPOSITION, "attachment; filename=\"tandem-export.zip\"")];
    Ok((headers, Body::new(Stream(receiver))).into_response())
}

/// Why an export ended early.
enum Stopped {
    /// Nobody reads any more.
    Gone,
    Store(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Store(error)
    }
}

const README: &str = "What is kept of your messages.\r\n\r\n\
messages-*.jsonl        every message and history, one JSON object per line, by conversation and in order\r\n\
conversations/*.txt     the same to be read\r\n\
folders.json            your folders\r\n\
devices.json            your devices\r\n\
documents/*             your preferences and drafts\r\n";

fn export(store: &dyn Store, user: UserId, devices: &[u8], zip: &mut Zip<'_>) -> Result<(), Stopped> {
    zip.member("README.txt", README.as_bytes())?;
    zip.member("devices.json", devices)?;
    zip.member("folders.json", &serde_json::to_vec_pretty(&store.own_folders(user)?).unwrap_or_default())?;
    for kind in [DocumentKind::Preferences, DocumentKind::Draft] {
        for document in store.documents(user, kind)? {
            zip.member(&format!("documents/{}-{}", kind.name(), plain(&document.name)), &document.body)?;
        }
    }
    let mut lines = Parts::new("messages", "jsonl");
    let mut before = None;
    loop {
        let page = store.conversations(user, before, PAGE)?.folders;
        for (nth, folder) in page.iter().enumerate() {
            // Two addresses may look alike once they are the name of a file.
            let place = folder.last.as_ref().map_or(nth as u64, |last| last.seq);
            let mut text = Parts::new(format!("conversations/{}-{place}", plain(folder.with.as_str())), "txt");
            conversation(store, user, folder, &mut lines, &mut text, zip)?;
            text.finish(zip)?;
        }
        before = page.last().and_then(|folder| folder.last.as_ref()).map(|last| last.seq);
        if before.is_none() {
            break;
        }
    }
    lines.finish(zip)?;
    zip.finish()
}

/// From the oldest message to the newest.
fn conversation(
    store: &dyn Store,
    user: UserId,
    folder: &Folder,
    lines: &mut Parts,
    text: &mut Parts,
    zip: &mut Zip<'_>,
) -> Result<(), Stopped> {
    let mut after = 0;
    loop {
        let index = store.index(user, &folder.with, after, PAGE)?;
        let Some(last) = index.marks.last() else { return Ok(()) };
        after = last.0;
        // Pages are read backwards, so this one ends where the marks do.
        for object in store.messages(user, &folder.with, Some(after + 1), index.marks.len())?.objects {
            if index.marks.first().is_some_and(|first| object.seq < first.0) {
                continue;
            }
            let mut line = serde_json::to_vec(&object).unwrap_or_default();
            if object.text.is_none()
                && let Some(payload) = store.payload(user, object.seq, 0, 64 << 20)?
            {
                let name = format!("payloads/{}", object.seq);
                zip.member(&name, &payload.bytes)?;
            }
            line.push(b'\n');
            lines.push(&line, zip)?;
            text.push(readable(folder, &object).as_bytes(), zip)?;
        }
        if !index.more {
            return Ok(());
        }
    }
}

fn readable(folder: &Folder, object: &Object) -> String {
    let who = if object.outgoing { "Me" } else { &*folder.title };
    let what = match &object.text {
        Some(text) => text.replace('\n', "\r\n    "),
        None => format!("[{}: payloads/{}]", object.content_type, object.seq),
    };
    format!("{}  {who}\r\n    {what}\r\n\r\n", date(object.date.0))
}

/// A time as `2024-02-29 12:34:56 UTC`.
fn date(millis: u64) -> String {
    let (days, seconds) = (millis / 86_400_000, millis / 1000 % 86_400);
    // Days since 0000-03-01, in eras of 400 years.
    let shifted = days.min(3_000_000) + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A name that is one on every system.
fn plain(name: &str) -> String {
    name.chars().take(80).map(|letter| if letter.is_ascii_alphanumeric() || "+-._".contains(letter) { letter } else { '_' }).collect()
}

/// A text that goes into members of bounded size.
struct Parts {
    name: String,
    extension: &'static str,
    held: Vec<u8>,
    parts: usize,
}

impl Parts {
    fn new(name: impl Into<String>, extension: &'static str) -> Parts {
        Parts { name: name.into(), extension, held: Vec::new(), parts: 0 }
    }

    fn push(&mut self, bytes: &[u8], zip: &mut Zip<'_>) -> Result<(), Stopped> {
        self.held.extend_from_slice(bytes);
        if self.held.len() < MEMBER { Ok(()) } else { self.finish(zip) }
    }

    fn finish(&mut self, zip: &mut Zip<'_>) -> Result<(), Stopped> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.parts += 1;
        zip.member(&format!("{}-{:04}.{}", self.name, self.parts, self.extension), &std::mem::take(&mut self.held))
    }
}

/// A ZIP on its way. What is kept of a member that has gone is its entry in the directory.
struct Zip<'s> {
    sender: &'s mpsc::Sender<Result<Bytes, StoreError>>,
    written: u64,
    directory: Vec<u8>,
    members: u64,
}

impl Zip<'_> {
    fn send(&mut self, bytes: Vec<u8>) -> Result<(), Stopped> {
        self.written += bytes.len() as u64;
        self.sender.blocking_send(Ok(Bytes::from(bytes))).map_err(|_| Stopped::Gone)
    }

    fn member(&mut self, name: &str, content: &[u8]) -> Result<(), Stopped> {
        let packed = miniz_oxide::deflate::compress_to_vec(content, 6);
        let (method, body) = if packed.len() < content.len() { (8_u16, packed) } else { (0, content.to_vec()) };
        // Version 4.5, the name in UTF-8, the first of January 1980; then what is the same in both headers.
        let mut common = Vec::new();
        for field in [45_u16, 0x0800, method, 0, 0x21] {
            common.extend_from_slice(&field.to_le_bytes());
        }
        common.extend_from_slice(&crc32(content).to_le_bytes());
        for size in [body.len(), content.len()] {
            common.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        }
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        // The place is always given in 64 bits.
        self.directory.extend_from_slice(b"PK\x01\x02\x2d\x00");
        self.directory.extend_from_slice(&common);
        self.directory.extend_from_slice(&12_u16.to_le_bytes());
        self.directory.extend_from_slice(&[0; 10]);
        self.directory.extend_from_slice(&u32::MAX.to_le_bytes());
        self.directory.extend_from_slice(name.as_bytes());
        self.directory.extend_from_slice(&[1, 0, 8, 0]);
        self.directory.extend_from_slice(&self.written.to_le_bytes());
        self.members += 1;
        let mut piece = b"PK\x03\x04".to_vec();
        piece.extend_from_slice(&common);
        piece.extend_from_slice(&0_u16.to_le_bytes());
        piece.extend_from_slice(name.as_bytes());
        piece.extend_from_slice(&body);
        self.send(piece)
    }

    fn finish(&mut self) -> Result<(), Stopped> {
        let (begin, size) = (self.written, self.directory.len() as u64);
        let mut end = std::mem::take(&mut self.directory);
        let end64 = begin + size;
        end.extend_from_slice(b"PK\x06\x06");
        end.extend_from_slice(&44_u64.to_le_bytes());
        end.extend_from_slice(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [self.members, self.members, size, begin] {
            end.extend_from_slice(&number.to_le_bytes());
        }
        end.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        end.extend_from_slice(&end64.to_le_bytes());
        end.extend_from_slice(&1_u32.to_le_bytes());
        end.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        for _ in 0..2 {
            end.extend_from_slice(&u16::try_from(self.members).unwrap_or(u16::MAX).to_le_bytes());
        }
        for number in [size, begin] {
            end.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        end.extend_from_slice(&[0, 0]);
        self.send(end)
    }
}

/// CRC-32 as ZIP wants it.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut nth = 0;
        while nth < 256 {
            let (mut value, mut bit) = (nth as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[nth] = value;
            nth += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_dates_are_those_of_everybody() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(1_709_210_096_789), "2024-02-29 12:34:56 UTC");
        assert_eq!(date(951_868_799_000), "2000-02-29 23:59:59 UTC");
        assert!(!date(u64::MAX).is_empty());
        assert_eq!(plain("sip:a/../b@x"), "sip_a_.._b_x");
    }
}
