// The service worker: keeps the app shell (the page, the script, the WASM module, styles, icons) so that Tandem opens without a network.
//
// The page itself is asked of the network first, so an update is seen at the next load; files with a hash in their names never
// change and come from the cache. The API, the history and the sockets are never touched. What no page refers to any more is dropped.
// The app's second module is kept once somebody has opened what is in it.
const SHELL = "tandem-shell-1";
const PATIENCE_MS = 3000;
const HASHED = /-[0-9a-f]{12,}(_bg)?\.(js|wasm|css)$/;
const LATER = /^\/extra-/;

const isShell = (url) =>
  HASHED.test(url.pathname) || /^\/(icons\/|emoji-|manifest\.)/.test(url.pathname);

// Every file of ours that the page names.
const named = (html) =>
  [...new Set([...html.matchAll(/["'=](\/[^"'\s?#>]+)/g)].map((found) => found[1]))].filter((path) =>
    isShell(new URL(path, self.location.origin)),
  );

async function keepPage(response) {
  const cache = await caches.open(SHELL);
  const wanted = named(await response.clone().text());
  const missing = [];
  for (const path of wanted) if (!LATER.test(path) && !(await cache.match(path))) missing.push(path);
  await cache.addAll(missing);
  // Only when all that the page needs is at hand does it become the one that opens offline.
  await cache.put("/", response);
  for (const request of await cache.keys()) {
    const { pathname } = new URL(request.url);
    if (HASHED.test(pathname) && !wanted.includes(pathname.replace("_bg.wasm", ".js"))) await cache.delete(request);
  }
}

self.addEventListener("install", (event) => {
  event.waitUntil(fetch("/", { cache: "no-cache" }).then((page) => (page.ok ? keepPage(page) : undefined)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name.startsWith("tandem-") && name !== SHELL).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

async function page(event) {
  const kept = await caches.match("/");
  const fresh = fetch(event.request).then((response) => {
    if (response.ok && (response.headers.get("content-type") ?? "").startsWith("text/html")) {
      event.waitUntil(keepPage(response.clone()).catch(() => undefined));
    }
    return response;
  });
  if (!kept) return fresh;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, kept));
  return Promise.race([fresh.catch(() => kept), late]);
}

async function file(request) {
  const kept = await caches.match(request, { ignoreSearch: true });
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) (await caches.open(SHELL)).put(request, response.clone());
  return response;
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (event.request.mode === "navigate" && url.pathname === "/") event.respondWith(page(event));
  else if (isShell(url)) event.respondWith(file(event.request));
});

// Subscribes this browser to push messages, and tells the server where they go. What the page does not say stays as it was.
async function subscribe(wish) {
  const manager = self.registration.pushManager;
  const offer = await fetch("/api/push");
  if (!manager || !offer.ok) return false;
  const options = { userVisibleOnly: true, applicationServerKey: (await offer.json()).key };
  const subscription = await manager.subscribe(options).catch(async () => {
    // One for another key stands in the way.
    await (await manager.getSubscription())?.unsubscribe();
    return manager.subscribe(options);
  });
  const { endpoint, keys } = subscription.toJSON();
  const body = JSON.stringify({ endpoint, ...keys, ...wish });
  return (await fetch("/api/push", { method: "PUT", headers: { "content-type": "application/json" }, body })).ok;
}

async function unsubscribe() {
  const subscription = await self.registration.pushManager?.getSubscription();
  if (subscription) await Promise.all([fetch("/api/push", { method: "DELETE" }), subscription.unsubscribe()]);
}

const badge = (count) => navigator.setAppBadge?.(count).catch(() => undefined);

// The person looks at a conversation: nothing needs to tell of it any more.
async function dismiss(tag) {
  for (const shown of await self.registration.getNotifications({ tag })) shown.close();
  await badge((await self.registration.getNotifications()).length);
}

// What the page asks for, each with an answer.
self.addEventListener("message", (event) => {
  const { subscribe: wish, unsubscribe: end, dismiss: tag } = event.data ?? {};
  const done = wish ? subscribe(wish) : end ? unsubscribe() : tag ? dismiss(tag) : Promise.resolve();
  event.waitUntil(done.catch(() => false).then((answer) => event.ports[0]?.postMessage(answer)));
});

self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribe()));

// A message came while no page was connected. A page that is before the person's eyes shows it by itself.
async function show({ title, body, with: tag, date, unread }) {
  await badge(unread);
  const pages = await self.clients.matchAll({ type: "window" });
  if (pages.some((page) => page.visibilityState === "visible")) return;
  const icon = "/icons/icon-192.png";
  const data = { hash: "#/with/" + encodeURIComponent(tag) };
  await self.registration.showNotification(title, { body, tag, data, icon, badge: icon, timestamp: date, renotify: true });
}

self.addEventListener("push", (event) => event.waitUntil(show(event.data.json())));

// A click on a notification brings the open window forward, or opens one, at the conversation it was about.
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const target = event.notification.data?.hash ?? "#/";
  event.waitUntil(
    self.clients.matchAll({ type: "window" }).then((windows) => {
      const open = windows[0];
      if (!open) return self.clients.openWindow("/" + target);
      open.postMessage({ navigate: target });
      return open.focus();
    }),
  );
});
