// The service worker: keeps the app shell (the page, the script, the WASM module, styles, icons) so that Tandem opens without a network.
//
// The page itself is asked of the network first, so an update is seen at the next load; files with a hash in their names never
// change and come from the cache. The API, the history and the sockets are never touched. What no page refers to any more is dropped.
const SHELL = "tandem-shell-1";
const PATIENCE_MS = 3000;
const HASHED = /-[0-9a-f]{12,}(_bg)?\.(js|wasm|css)$/;

const isShell = (url) =>
  HASHED.test(url.pathname) || /^\/(icons\/|emoji-|manifest\.)/.test(url.pathname);

// Every file of ours that the page names.
const named = (html) =>
  [...new Set([...html.matchAll(/["'](\/[^"'\s?#]+)["']/g)].map((found) => found[1]))].filter((path) =>
    isShell(new URL(path, self.location.origin)),
  );

async function keepPage(response) {
  const cache = await caches.open(SHELL);
  const wanted = named(await response.clone().text());
  const missing = [];
  for (const path of wanted) if (!(await cache.match(path))) missing.push(path);
  await cache.addAll(missing);
  // Only when all that the page needs is at hand does it become the one that opens offline.
  await cache.put("/", response);
  for (const request of await cache.keys()) {
    const { pathname } = new URL(request.url);
    if (HASHED.test(pathname) && !wanted.includes(pathname)) await cache.delete(request);
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
