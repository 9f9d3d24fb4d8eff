"use strict";
// Joined into the page by latchkey_tools.boards.page, which puts the words in. What comes from the device, from a
// token or from the air enters the page as text only: textContent, value, never markup.

// Three tables: rows of a key and its English words. Then the same with the German words alone.
const TABLES = @words@.split("~~").map((table) => table.split("~").map((row) => row.split("|")));
const LANGUAGE = (navigator.language || "en").slice(0, 2).toLowerCase() === "de" ? "de" : "en";
const GERMAN = LANGUAGE === "de";
const [PAGE, CODES, REASONS] = [0, 1, 2].map((number) =>
  Object.fromEntries(TABLES[number].map(([key, ...words], row) => [key, GERMAN ? TABLES[number + 3][row] : words])),
);

const ACCESS_POINT = "192.168.4.1";
const ON_ACCESS_POINT = location.hostname === ACCESS_POINT;
const ENCRYPTED = location.protocol === "https:";
const KEPT_AS = "latchkey-token";
const ANSWER_MS = 10000;
const ATTEMPT_EVERY_MS = 2000;
const STATE_EVERY_MS = 3000;
// So long a joining device may be silent before the person is told to look at the networks.
const SILENT_MS = 8000;
// Where the stream of states ends for these, the state is asked for instead.
const BESIDE_STREAMS = ["not_found", "full_house", "unreachable"];
const BUSY_TRIES = 6;
// A longer line is not one that a mail program has wrapped.
const MOST_WRAPPED = 200;
const UNITS = { pct: "%", c: "°C", k: "K", w: "W", v: "V", a: "A", kwh: "kWh", hpa: "hPa", lx: "lx", ppm: "ppm", s: "s", ms: "ms" };

let info = null;
let token = "";
let grant = null;
let fields = {};
let drawn = "";
// What ends the stream of states that is running.
let live = null;
let following = false;
// The newest state of an event.
let latest;

const at = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function word(key, values = {}) {
  return (PAGE[key] || [key])[0].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function make(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  return made;
}

function tell(id, text = "", kind = "") {
  const note = at(id);
  note.textContent = text;
  note.className = "note " + kind;
  note.hidden = !text;
}

// The device

class Refusal extends Error {
  constructor(code, field) {
    super(code);
    this.code = code;
    this.field = field;
  }
}

async function ask(path, method = "GET", body = null, signal = null) {
  const headers = token ? { Authorization: "Bearer " + token } : {};
  if (body) headers["Content-Type"] = "application/json";
  const how = { method, headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  return fetch(path, body ? { ...how, body: JSON.stringify(body) } : how);
}

async function callOnce(method, path, body) {
  const ends = new AbortController();
  const timer = setTimeout(() => ends.abort(), ANSWER_MS);
  try {
    const response = await ask(path, method, body, ends.signal);
    const answer = await response.json();
    return { response, answer };
  } catch (error) {
    throw new Refusal("unreachable");
  } finally {
    clearTimeout(timer);
  }
}

async function call(method, path, body = null, once = callOnce) {
  for (let tries = 1; ; tries++) {
    const { response, answer } = await once(method, path, body);
    if (response.ok) return answer;
    if (response.status !== 429 || tries === BUSY_TRIES) throw new Refusal(answer.code, answer.field);
    await pause(1000 * (Number(response.headers.get("Retry-After")) || 1));
  }
}

// The answer for a part that loads by itself: the device may restart, and the phone may lose its network.
async function get(mine, path, id) {
  for (;;) {
    try {
      return await call("GET", path);
    } catch (refusal) {
      if (token !== mine || refusal.code !== "unreachable") throw refusal;
      tell(id, word("waits"), "warn");
    }
    await pause(ATTEMPT_EVERY_MS);
  }
}

function advice(refusal) {
  const known = CODES[refusal.code];
  const unreachable = refusal.code === "unreachable";
  const meaning = known ? known[0].charAt(0).toUpperCase() + known[0].slice(1) + "." : word(unreachable ? "unreachable" : "unknown_code", { code: refusal.code });
  const todo = known ? known[1] : word(unreachable ? "unreachable_todo" : "unknown_code_todo");
  const text = word("refusal_todo", { meaning, todo });
  return refusal.field ? text + "\n" + word("field_is", { field: refusal.field }) : text;
}

// Runs what a button asks for; a refusal is shown in the note beside it.
async function attend(note, button, deed) {
  button.disabled = true;
  try {
    await deed();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    tell(note, advice(error), "bad");
  } finally {
    button.disabled = false;
  }
}

function onPress(id, note, deed) {
  at(id).addEventListener("click", () => attend(note, at(id), deed));
}

function onSubmit(id, note, deed) {
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    attend(note, at(id).querySelector("button:not([type=button])"), deed);
  });
}

// What the device is

async function meet() {
  info = await call("GET", "/v1/info");
  const name = info.name || info.product;
  document.title = name;
  at("name").textContent = name;
  at("what").textContent = info.product + " · " + info.model;
  at("state").textContent = word("state_" + info.state);
  at("state").className = info.state === "ready" ? "pill good" : "pill";
  at("state").hidden = false;
  at("about").textContent = word("version", { version: info.version, system: info.system_uuid || word("no_system") });
  at("plain-warning").hidden = ENCRYPTED || ON_ACCESS_POINT;
  at("captive-hint").hidden = !ON_ACCESS_POINT;
  if (!info.system_uuid) {
    at("access").hidden = true;
    return tell("news", advice(new Refusal("unprovisioned")), "bad");
  }
  if (info.dev) tell("news", word("dev"), "warn");
  if (info.state === "ready" && !ON_ACCESS_POINT) tell("news", word("ready_here"), "good");
}

// The token

// As mail programs wrap it and people paste it: the lines of one token are joined. All but the last are of one length.
function tokenIn(text) {
  const lines = text.replace(/[\u00ad\u200b-\u200d\u2060\ufeff]/g, "").split(/\r?\n/).map((line) => line.trim());
  const first = lines.findIndex((line) => line.includes("CLOUD-"));
  if (first < 0) return { problem: "token_none" };
  const found = lines.join("\n").match(/CLOUD-[\w.-]+/g);
  if (new Set(found).size > 1) return { problem: "token_two" };
  let whole = found[0];
  if (!lines[first].endsWith(whole) || whole.length > MOST_WRAPPED) return { token: whole };
  let width = MOST_WRAPPED;
  for (const line of lines.slice(first + 1)) {
    if (!/^[\w.-]+$/.test(line) || line.length > width) break;
    whole += line;
    if (line.length < width && width < MOST_WRAPPED) break;
    width = line.length;
  }
  return { token: whole };
}

// Header (0) or claims (1) of a JWS.
function partOf(text, number) {
  try {
    const part = text.split(".")[number].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return claims && typeof claims === "object" ? claims : null;
  } catch (error) {
    return null;
  }
}

function showClaims(claims) {
  const list = at("claims");
  list.textContent = "";
  const add = (key, value) => list.append(make("dt", word(key)), make("dd", value));
  const roles = Array.isArray(claims.roles) ? claims.roles : [];
  add("claim_name", String(claims.name || claims.sub || "?"));
  add("claim_roles", roles.map((role) => String((role && (role.name || role.uuid)) || "?")).join(", ") || "–");
  add("claim_ends", endOf(claims.exp));
  add("claim_system", isForUs(claims) ? word("this_device") : systemsOf(claims).join(", "));
  at("token-known").hidden = false;
}

function endOf(exp) {
  if (typeof exp !== "number") return word("never");
  const time = new Date(exp * 1000).toLocaleString(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });
  return exp * 1000 < Date.now() ? word("ended", { time }) : time;
}

const systemsOf = (claims) => [].concat(claims.aud || []).map(String);
const isForUs = (claims) => systemsOf(claims).some((one) => one.toLowerCase() === String(info.system_uuid).toLowerCase());

// A bearer is not shown to a device that it is not for: whoever holds it has its roles.
async function useToken(text) {
  forget();
  const found = tokenIn(text);
  if (found.problem) return tell("token-verdict", word(found.problem), "bad");
  const claims = partOf(found.token, 1);
  if (!claims) return tell("token-verdict", advice(new Refusal("token_malformed")), "bad");
  showClaims(claims);
  if (!isForUs(claims)) {
    return tell("token-verdict", word("not_sent") + " " + advice(new Refusal("wrong_system")), "bad");
  }
  tell("token-verdict", word("token_waits"));
  token = found.token;
  try {
    grant = await call("GET", "/v1/whoami");
  } catch (refusal) {
    token = "";
    const lead = refusal.code === "unreachable" ? "" : word("refused") + "\n";
    // A key set that the device missed comes by file, without a token.
    at("update").hidden = !["bad_signature", "no_keys"].includes(refusal.code);
    at("runs").textContent = word("missed_keys");
    return tell("token-verdict", lead + advice(refusal), "bad");
  }
  keep(at("remember").checked ? token : null);
  at("token").value = "";
  at("token-form").hidden = true;
  const may = grant.permissions.map((one) => word("may_" + one));
  const last = may.pop();
  const all = may.length ? may.join(", ") + word("and") + last : last;
  tell("token-verdict", word("accepted", { may: all }), "good");
  open();
}

function keep(text) {
  // A captive window or a private one may refuse its storage.
  try {
    if (text) sessionStorage.setItem(KEPT_AS, text);
    else sessionStorage.removeItem(KEPT_AS);
  } catch (error) {
    at("remember").checked = false;
  }
}

function kept() {
  try {
    return sessionStorage.getItem(KEPT_AS);
  } catch (error) {
    return null;
  }
}

function forget() {
  token = "";
  grant = null;
  following = false;
  if (live) live.abort();
  live = null;
  drawn = "";
  for (const id of ["attempt", "product", "wifi", "update", "care", "token-known"]) at(id).hidden = true;
  for (const id of ["product-note", "wifi-note", "update-note", "care-note", "token-verdict"]) tell(id);
  at("token-form").hidden = false;
}

const may = (permission) => grant !== null && grant.permissions.includes(permission);

// What the token opens. Each part looks after its refusals, and ends when another token is there.
function open() {
  if (may("read")) openProduct(token);
  if (may("configure")) openSetup(token);
}

// The product

async function openProduct(mine) {
  at("product").hidden = false;
  at("identify").hidden = !may("control");
  fields = await get(mine, "/v1/state/fields", "product-note").catch(() => ({}));
  tell("product-note");
  watch(mine);
}

async function watch(mine) {
  let streams = true;
  while (token === mine) {
    try {
      // A stream takes memory of the device, and an upload needs it.
      if (streams && !at("update-file").disabled) await stream();
      else await poll();
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      if (token !== mine) return;
      if (!BESIDE_STREAMS.includes(refusal.code)) return tell("product-note", advice(refusal), "bad");
      streams = refusal.code !== "not_found";
      await poll();
    }
    await pause(STATE_EVERY_MS);
  }
}

// An event that came before the answer may be newer, and the next one may be long in coming.
async function state(method, body) {
  latest = null;
  const answer = await call(method, "/v1/state", body);
  return latest || answer;
}

async function poll() {
  try {
    draw(await state("GET"));
    at("live").textContent = word("live_poll");
  } catch (refusal) {
    if (refusal.code !== "unreachable") throw refusal;
    at("live").textContent = word("live_lost");
  }
}

// Server-sent events by hand: EventSource sends no Authorization.
async function stream() {
  live = new AbortController();
  const mine = live;
  let reader;
  try {
    const response = await ask("/v1/events", "GET", null, mine.signal);
    if (!response.ok) throw new Refusal((await response.json()).code);
    reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      rest += decoder.decode(value, { stream: true });
      const events = rest.split("\n\n");
      rest = events.pop();
      events.forEach(take);
    }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal("unreachable");
  } finally {
    mine.abort();
  }
}

function take(event) {
  const part = (name) => (event.split("\n").find((line) => line.startsWith(name + ": ")) || "").slice(name.length + 2);
  if (part("event") === "end") throw new Refusal(JSON.parse(part("data")).code);
  if (part("event") !== "state") return;
  draw((latest = JSON.parse(part("data"))));
  at("live").textContent = word("live_stream");
}

function draw(state) {
  // The token was forgotten while this answer was on its way.
  if (!grant) return;
  const shape = Object.keys(state).join();
  if (shape !== drawn) {
    drawn = shape;
    at("controls").textContent = "";
    for (const name in state) at("controls").append(control(name, state[name]));
    if (!may("control")) tell("product-note", word("read_only"));
  }
  for (const name in state) show(name, state[name]);
}

function kindOf(name, value, field) {
  if (field.read_only || !may("control")) return "text";
  if (typeof value === "boolean") return "switch";
  // Without a description nobody knows what may be set.
  if (!fields[name]) return "text";
  if (Array.isArray(value)) return value.length === 3 ? "color" : "text";
  if (typeof value === "number" && field.max !== undefined) return "range";
  return typeof value === "number" ? "number" : "text";
}

function labelOf(name, field) {
  const label = field.label;
  if (label) return typeof label === "object" ? label[LANGUAGE] || label.en || name : String(label);
  if (PAGE[name]) return word(name);
  const text = name.replace(/_(unix_s|[a-z]+)$/, (whole, unit) => (UNITS[unit] || unit === "unix_s" ? "" : whole));
  return (text.charAt(0).toUpperCase() + text.slice(1)).replace(/_/g, " ");
}

function shown(name, value) {
  if (value === null) return word("nothing_measured");
  if (typeof value === "boolean") return word(value ? "yes" : "no");
  if (name.endsWith("_unix_s")) return new Date(value * 1000).toLocaleString(LANGUAGE);
  if (typeof value !== "number") return String(value);
  const unit = (fields[name] || {}).unit || UNITS[name.split("_").pop()] || "";
  return value.toLocaleString(LANGUAGE, { useGrouping: false }) + (unit && " " + unit);
}

function control(name, value) {
  const field = fields[name] || {};
  const kind = kindOf(name, value, field);
  const row = make("div", "", { class: "field" });
  const head = make("div", "", { class: "head" });
  const id = "field-" + name;
  row.append(head);
  if (kind === "text") {
    head.append(make("span", labelOf(name, field), { class: "label" }), make("span", "", { id, class: "value" }));
    return row;
  }
  const input = make("input", "", { id, "data-kind": kind, type: kind === "switch" ? "checkbox" : kind });
  if (kind === "switch") input.setAttribute("role", "switch");
  for (const limit of ["min", "max", "step"]) if (field[limit] !== undefined) input.setAttribute(limit, field[limit]);
  head.append(make("label", labelOf(name, field), { for: id }));
  if (kind === "range") {
    head.append(make("output", "", { id: id + "-value", for: id }));
    row.append(input);
    input.addEventListener("input", () => hold(name, input));
  } else {
    head.append(input);
  }
  input.addEventListener("change", () => change(name, input));
  return row;
}

// While a finger moves it, no event of the device moves it back.
function hold(name, input) {
  input.dataset.held = "1";
  at("field-" + name + "-value").textContent = shown(name, Number(input.value));
}

async function change(name, input) {
  const kind = input.dataset.kind;
  let value = Number(input.value);
  if (kind === "switch") value = input.checked;
  if (kind === "color") value = [1, 3, 5].map((from) => parseInt(input.value.slice(from, from + 2), 16));
  input.dataset.held = "1";
  try {
    const seen = await state("PATCH", { [name]: value });
    tell("product-note");
    delete input.dataset.held;
    draw(seen);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    delete input.dataset.held;
    tell("product-note", advice(refusal), "bad");
    await poll().catch(() => {});
  }
}

function show(name, value) {
  const place = at("field-" + name);
  const kind = place.dataset.kind;
  if (place.dataset.held) return;
  if (kind === "switch") place.checked = value === true;
  else if (kind === "color") place.value = "#" + value.map((part) => part.toString(16).padStart(2, "0")).join("");
  else if (kind) place.value = value;
  else place.textContent = shown(name, value);
  if (kind === "range") at("field-" + name + "-value").textContent = shown(name, value);
}

onPress("identify", "product-note", async () => {
  await call("POST", "/v1/identify");
  tell("product-note", word("identified"), "good");
});

// Wi-Fi, name, log

async function openSetup(mine) {
  openUpdate(mine);
  at("care").hidden = false;
  at("new-name").value = info.name || "";
  try {
    const pairing = await get(mine, "/v1/pairing", "care-note");
    choices(await get(mine, "/v1/pairing/networks", "care-note"));
    if (token !== mine) return;
    tell("care-note");
    at("wifi").hidden = false;
    if (pairing.state === "joining") follow(pairing.what, pairing.ssid);
    else if (pairing.state === "failed") ended(pairing);
  } catch (refusal) {
    // A wired device joins no networks.
    if (token === mine && refusal.code !== "not_found") tell("care-note", advice(refusal), "bad");
  }
}

function choices({ networks }) {
  const list = at("networks");
  list.textContent = "";
  networks.forEach((network, index) => list.append(choice(network, index)));
  if (!networks.length) list.append(make("p", word("no_networks"), { class: "small" }));
  at("hidden-network").checked = !networks.length;
  chosen();
}

function choice(network, index) {
  const label = make("label", "", { class: "choice" });
  const input = make("input", "", { type: "radio", name: "network", value: index });
  input.dataset.ssid = network.ssid;
  input.dataset.secured = network.secured ? "1" : "";
  const strength = network.rssi_dbm > -60 ? 3 : network.rssi_dbm > -75 ? 2 : 1;
  const facts = word("signal_" + strength) + ", " + word(network.secured ? "wifi_secured" : "wifi_open");
  const words = make("span", "", { class: "grow" });
  words.append(make("bdi", network.ssid), make("br"), make("span", facts, { class: "small" }));
  label.append(input, words);
  return label;
}

const selected = () => document.querySelector("[name=network]:checked");

function chosen() {
  const one = selected();
  at("ssid-row").hidden = !at("hidden-network").checked;
  at("passphrase-row").hidden = Boolean(one && one !== at("hidden-network") && !one.dataset.secured);
}

at("wifi-form").addEventListener("change", chosen);

onPress("scan", "wifi-note", async () => choices(await call("GET", "/v1/pairing/networks")));

onPress("reveal", "wifi-note", async () => {
  const hidden = at("passphrase").type === "password";
  at("passphrase").type = hidden ? "text" : "password";
  at("reveal").setAttribute("aria-pressed", hidden);
});

function broker() {
  const host = at("broker-host").value.trim();
  const port = at("broker-port").value.trim();
  return host || port ? { ...(host && { host }), ...(port && { port: Number(port) }) } : null;
}

onSubmit("wifi-form", "wifi-note", async () => {
  const one = selected();
  const ssid = one === at("hidden-network") ? at("ssid").value : one && one.dataset.ssid;
  if (!ssid) return tell("wifi-note", word("choose_first"), "bad");
  const wifi = { ssid };
  if (at("passphrase").value && !at("passphrase-row").hidden) wifi.passphrase = at("passphrase").value;
  const body = broker() ? { wifi, broker: broker() } : { wifi };
  await begin("wifi", ssid, () => call("POST", "/v1/pairing", body));
});

onPress("broker-save", "wifi-note", async () => {
  if (!broker()) return tell("wifi-note", word("broker_same"), "bad");
  await begin("cloud", "", async () => {
    const answer = await call("PATCH", "/v1/config", { broker: broker() });
    return answer.state ? answer : { state: "same" };
  });
});

onSubmit("name-form", "care-note", async () => {
  await call("PATCH", "/v1/config", { name: at("new-name").value });
  tell("care-note", word("saved"), "good");
  await meet();
});

at("log-box").addEventListener("toggle", async () => {
  if (!at("log-box").open) return;
  try {
    const { lines } = await call("GET", "/v1/log");
    at("log").textContent = lines.map((line) => line.uptime_s + " s  " + line.text).join("\n") || word("log_empty");
  } catch (refusal) {
    at("log").textContent = advice(refusal);
  }
});

onPress("restart", "care-note", async () => {
  const button = at("restart");
  if (!button.dataset.sure) {
    button.dataset.sure = "1";
    button.textContent = word("restart_sure");
    return;
  }
  delete button.dataset.sure;
  button.textContent = word("restart");
  await call("POST", "/v1/restart");
  tell("care-note", word("restarting"), "good");
});

// Update

async function openUpdate(mine) {
  try {
    const now = await release(mine);
    at("update").hidden = false;
    if (now.state === "unproven") await proven(mine, now);
    else at("runs").textContent = word("runs", now) + (now.last ? " " + wentBack(now.last) : "");
  } catch (refusal) {
    // A product may leave updates out.
    if (token === mine && refusal.code !== "not_found") tell("update-note", advice(refusal), "bad");
  }
}

const wentBack = (last) => word("went_back", { version: last.version, why: word("why_" + last.reason) });

async function release(mine, settled = () => true) {
  for (;;) {
    const now = await get(mine, "/v1/firmware", "update-note");
    if (token !== mine || settled(now)) return now;
    await pause(ATTEMPT_EVERY_MS);
  }
}

const still = (now) => now.upload && now.upload.running;

// Asking is what proves a release that reaches no broker.
async function proven(mine, { version }) {
  at("runs").textContent = "";
  const { last } = await release(mine, (now) => {
    if (now.state === "unproven") tell("update-note", word("unproven", { version, minutes: Math.ceil(now.goes_back_s / 60) }));
    return now.state === "good" && !still(now);
  });
  tell("update-note", last ? wentBack(last) : word("proven", { version }), last ? "bad" : "good");
  await meet();
}

async function update(mine, file) {
  const line = (await file.slice(0, 4096).text()).split("\n")[0];
  const [header, manifest] = [partOf(line, 0), partOf(line, 1)];
  if (!header || !manifest) throw new Refusal("manifest_refused");
  if (header.typ === "latchkey-keys") return tell("update-note", word("keys_taken", await put("/v1/keys", file)), "good");
  const { state } = await sent(mine, file, line, manifest);
  if (state === "restarting") await proven(mine, manifest);
  else tell("update-note", word("saved"), "good");
}

// Sends the file, and goes on where a connection broke.
async function sent(mine, file, line, manifest) {
  const start = line.length + 1;
  if (live) live.abort();
  let from = 0;
  for (let tries = 1; ; tries++) {
    tell("update-note", word("sending"));
    try {
      const rest = new Blob([line + "\n", file.slice(start + from)]);
      return await put("/v1/firmware" + (from ? "?from=" + from : ""), rest, from, manifest.size);
    } catch (refusal) {
      if (tries === BUSY_TRIES || !["unreachable", "timeout", "no_memory"].includes(refusal.code)) throw refusal;
    }
    await pause(ATTEMPT_EVERY_MS);
    const { state, upload } = await release(mine, (now) => !still(now));
    // This answer was lost.
    if (state === "unproven") return { state: "restarting" };
    const before = from;
    from = upload && upload.sha256 === manifest.sha256 ? upload.received : 0;
    if (from > before) tries = 0;
  }
}

const put = (path, body, from, size) => call("PUT", path, body, () => putOnce(path, body, from, size));

// By XMLHttpRequest, since fetch does not say how much has left.
function putOnce(path, body, from = 0, size = body.size) {
  const sending = new XMLHttpRequest();
  at("update-progress").hidden = false;
  return new Promise((done, fail) => {
    sending.open("PUT", path);
    sending.responseType = "json";
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    if (token) sending.setRequestHeader("Authorization", "Bearer " + token);
    sending.upload.onprogress = (event) => (at("update-progress").value = (from + event.loaded) / size);
    sending.onloadend = () => {
      at("update-progress").hidden = true;
      const { status, response: answer } = sending;
      const headers = { get: (name) => sending.getResponseHeader(name) };
      if (answer) done({ response: { ok: status < 300, status, headers }, answer });
      else fail(new Refusal("unreachable"));
    };
    sending.send(body);
  });
}

at("update-file").addEventListener("change", async () => {
  const [file] = at("update-file").files;
  if (file) await attend("update-note", at("update-file"), () => update(token, file));
  at("update-file").value = "";
});

// An attempt

async function begin(what, ssid, deed) {
  tell("wifi-note");
  try {
    const answer = await deed();
    if (answer.state === "same") return tell("wifi-note", word("saved"), "good");
  } catch (refusal) {
    // The answer may be lost where the request was not: what became of it is asked below.
    if (refusal.code !== "unreachable") throw refusal;
  }
  follow(what, ssid);
}

function announce(title, words, todo = "", kind = "") {
  at("attempt").hidden = false;
  at("attempt-title").textContent = title;
  at("attempt-words").textContent = words;
  tell("attempt-todo", todo, kind);
  at("attempt-links").textContent = "";
}

function link(host) {
  const item = make("li");
  const url = "http://" + host;
  item.append(make("a", url, { href: url, rel: "noreferrer" }));
  at("attempt-links").append(item);
}

const accessPoint = () => "latchkey-" + String(info.system_uuid).slice(0, 8).toLowerCase();

async function follow(what, ssid) {
  if (following) return;
  following = true;
  const mine = token;
  const since = Date.now();
  let heard = since;
  const cloud = what === "cloud";
  const begin = () => announce(cloud ? word("trying_broker") : word("joining", { ssid }), word(cloud ? "trying_broker_words" : "joining_words"));
  begin();
  at("wifi").hidden = true;
  at("attempt-progress").hidden = false;
  at("attempt-close").hidden = true;
  at("attempt-title").focus();
  let dropped = false;
  while (token === mine && following) {
    at("attempt-progress").value = Math.min(120, (Date.now() - since) / 1000);
    await pause(ATTEMPT_EVERY_MS);
    try {
      const pairing = await call("GET", "/v1/pairing");
      heard = Date.now();
      if (pairing.state !== "joining") return token === mine && ended(pairing);
      if (dropped) begin();
      dropped = false;
    } catch (refusal) {
      if (refusal.code !== "unreachable") return lost(refusal);
      if (!dropped && Date.now() - heard > SILENT_MS) {
        dropped = true;
        tell("attempt-todo", word("dropped", { access_point: accessPoint() }), "warn");
        link(accessPoint() + ".local");
      }
    }
  }
}

function close(focus, again) {
  following = false;
  at("attempt-progress").hidden = true;
  at("attempt-close").hidden = false;
  at("wifi").hidden = !again;
  if (focus) at("attempt-title").focus();
}

function lost(refusal) {
  tell("attempt-todo", advice(refusal), "bad");
  close(true, true);
}

function ended(pairing) {
  const was = following;
  const cloud = pairing.what === "cloud";
  if (pairing.state === "failed") {
    const [happened, todo] = REASONS[pairing.reason] || [word("unknown_reason", pairing), word("unknown_todo")];
    const title = cloud ? word("broker_failed") : word("failed", pairing);
    announce(title, word("failed_words", { happened }), word("failed_todo", { todo }) + "\n" + word("failed_back"), "bad");
  } else if (cloud) {
    announce(word("broker_joined"), word("broker_joined_words"), "", "good");
  } else {
    announce(word("joined", pairing), word("joined_words"), word("joined_todo"), "good");
    link(pairing.host);
    if (pairing.address) link(pairing.address);
    at("passphrase").value = "";
  }
  close(was, pairing.state === "failed");
  meet().catch(() => {});
}

onPress("attempt-close", "attempt-todo", async () => {
  at("attempt").hidden = true;
  at("wifi").hidden = false;
  at("name").focus();
});

// Start

function translate() {
  document.documentElement.lang = LANGUAGE;
  for (const part of document.querySelectorAll("[data-t]")) part.textContent = word(part.dataset.t);
  for (const part of document.querySelectorAll("[data-label]")) part.setAttribute("aria-label", word(part.dataset.label));
}

// A QR code carries the token in the fragment, which no browser sends. It leaves the address bar before anything else.
function tokenInAddress() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", location.pathname);
  return found[1];
}

onSubmit("token-form", "token-verdict", () => useToken(at("token").value));

at("token-file").addEventListener("change", async () => {
  const [file] = at("token-file").files;
  at("token-file").value = "";
  if (file) await attend("token-verdict", at("token-form").querySelector("button"), async () => useToken(await file.slice(0, 65536).text()));
});

onPress("token-forget", "token-verdict", async () => {
  forget();
  keep(null);
  at("token").focus();
});

async function start(given) {
  translate();
  try {
    await meet();
  } catch (refusal) {
    at("access").hidden = true;
    return tell("news", refusal.code === "unreachable" ? advice(refusal) : word("not_latchkey"), "bad");
  }
  if (given && info.system_uuid) {
    at("remember").checked = given === kept();
    await useToken(given);
  }
}

start(tokenInAddress() || kept());
addEventListener("hashchange", () => {
  const given = tokenInAddress();
  if (given) useToken(given);
});
