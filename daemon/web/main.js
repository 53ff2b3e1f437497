// What the page shows now, and how it is steered.

const stored = (() => {
  try {
    return window.localStorage;
  } catch {
    return null; // forbidden by the browser's settings: the choice then lasts as long as the page
  }
})();
const REDUCED = matchMedia("(prefers-reduced-motion: reduce)");
const REDUCED_EVERY_MS = 1000;
const OLD_FRAME_S = 2;

const state = {
  site: new URLSearchParams(location.hash.slice(1)).get("site") ?? "",
  view: "magnitude",
  status: null,
  statusAt: 0,
  history: null,
  drawnAt: 0,
};
const radar = new RadarPicture($("heatmap"));
const answer = new AnswerCard();
const curves = new CurveBoard($("curves"), CURVES);
const siteCurves = new CurveBoard($("site-curves"), SITE_CURVES);
const link = new Link({
  on: {
    status: onStatus,
    recent: (news) => answer.begin(news.answers),
    frame: onFrame,
    history: onHistory,
  },
  onState,
});

function onStatus(status) {
  Object.assign(state, { status, statusAt: performance.now() });
  fillFigures(status);
  chooseSites(Object.keys(status.sites).sort());
  fillSites(status, state.site);
  fillModels(status);
  fillDrops(status);
  fillHealth(status);
  learningWords(status);
  say($("recording"), recordingWords(status.recording));
  say($("camera-state"), status.page.camera ? "on" : "off");
  showCamera(status);
  emptyWords(status);
  tellAge();
}

function onFrame(frame) {
  if (frame.site !== state.site || frame.view !== state.view) return;
  if (REDUCED.matches && performance.now() - state.drawnAt < REDUCED_EVERY_MS) return;
  state.drawnAt = performance.now();
  radar.show(frame);
  radar.read();
  answer.show(frame.answer);
  $("radar-empty").hidden = true;
  const { label, abstain } = frame.answer;
  $("heatmap").setAttribute(
    "aria-label",
    `Radar ${state.view} of site ${frame.site}, range to 27.7 m over azimuth from −90° to 90°; answer: ${label ?? `withheld, ${abstain}`}. Arrow keys read a cell.`,
  );
  tellAge();
}

function onHistory(history) {
  state.history = history;
  drawCurves();
}

function drawCurves() {
  if (!state.history) return;
  const marks = (state.status?.model_history ?? []).map((item) => ({
    x: item.at_s,
    colour: themed(item.event === "refused" ? "bad" : "soft"),
  }));
  curves.show(state.history.curves, marks);
  const site = state.history.site?.curves;
  $("site-curves").hidden = !site;
  if (site) siteCurves.show(site);
  fillCurveTable(state.history.curves);
}

function onState(name, detail) {
  const banner = $("banner");
  const lost = name === "lost" || name === "refused";
  document.body.classList.toggle("stale", lost);
  banner.hidden = !lost;
  const last = state.status ? "What stands below is the last that was heard." : "";
  if (name === "live") say($("trouble"), "");
  if (name === "refused")
    say($("trouble"), `The daemon refuses this page: ${detail}. Trying again.`);
  if (name === "lost") say($("trouble"), `No word from the daemon: trying again. ${last}`);
  // Not part of the alert: it would be read out every second.
  say(
    $("trouble-age"),
    name === "lost" && detail !== null ? `Silent for ${Math.floor(detail)} s.` : "",
  );
  const [shade, text] = lost
    ? ["bad", "no connection"]
    : state.status
      ? verdictOf(state.status)
      : ["wait", "connecting"];
  $("state").dataset.state = shade;
  say($("state"), text);
}

function emptyWords({ sites, endpoints, replay }) {
  const empty = $("radar-empty");
  if (radar.frame) return;
  empty.hidden = false;
  if (Object.keys(sites).length)
    say(empty, `No answered radar frame of ${state.site || "this site"} yet.`);
  else if (replay?.phase === "playing") say(empty, "The replay is starting.");
  else
    say(
      empty,
      `No radar frame has come in yet. Send frames to ${endpoints.intake}, or start the daemon with --replay DIR.`,
    );
}

// Ages go on between two messages: what stands still looks as old as it is.
function tellAge() {
  const site = state.status?.sites[state.site];
  const since = (performance.now() - state.statusAt) / 1000;
  tellCameraAge(site?.camera_age_s, since);
  const facts = $("frame-facts");
  if (!site?.answer || !radar.frame) return say(facts, NONE);
  const age = site.radar_age_s + since;
  const old = age > OLD_FRAME_S + 1;
  // A replay's sites come in turn: there it is no alarm.
  facts.classList.toggle("late", old && state.status.replay?.phase !== "playing");
  const frame = `frame ${written(radar.frame.answer.seq, "count")}`;
  say(
    facts,
    old ? `${frame}, the last one: ${ago(age)}` : `${frame}, ${written(site.radar_hz, "hz")}`,
  );
}

function tellCameraAge(heard, since) {
  const age = known(heard) ? heard + since : null;
  $("camera").classList.toggle("old", age !== null && age > OLD_FRAME_S + 1);
  say($("camera-age"), age === null ? "No image yet" : `Image of ${ago(age)}`);
}

function chooseSites(names) {
  const select = $("site");
  if (select.dataset.names !== JSON.stringify(names)) {
    select.dataset.names = JSON.stringify(names);
    select.disabled = !names.length;
    select.replaceChildren(
      ...(names.length ? names : ["none yet"]).map((name) => made("option", {}, name)),
    );
  }
  if (!names.includes(state.site)) {
    if (names.length) showSite(names[0]);
  } else select.value = state.site;
}

function showSite(name) {
  state.site = name;
  history.replaceState(null, "", `#${new URLSearchParams({ site: name })}`); // for a reload
  $("site").value = name;
  radar.forget();
  answer.forget();
  emptyWords(state.status);
  reopen();
}

function reopen() {
  link.open({ site: state.site, view: state.view });
}

function showCamera(status) {
  $("camera").hidden = !status.page.camera || !state.site;
  if ($("camera").hidden) return;
  const image = $("camera").querySelector("img");
  image.src = `/camera?${new URLSearchParams({ site: state.site, at: Math.round(state.statusAt) })}`;
  image.alt = `Newest camera image of site ${state.site}`;
}

function press(set, value) {
  for (const button of document.querySelectorAll(`[data-set="${set}"]`)) {
    button.setAttribute("aria-pressed", String(button.dataset.value === value));
  }
  if (set === "shape") {
    radar.shape = value;
    radar.point(null);
    radar.draw();
  } else if (state.view !== value) {
    state.view = value;
    reopen();
  }
}

const THEMES = ["system", "light", "dark"];
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  say($("theme"), `Theme: ${theme}`);
  stored?.setItem("rvsense-theme", theme);
  redraw();
}

function redraw() {
  radar.draw();
  answer.draw();
  drawCurves();
}

function other(values, value, step = 1) {
  return values[(values.indexOf(value) + step + values.length) % values.length];
}

const KEYS = {
  "[": () => moveSite(-1),
  "]": () => moveSite(1),
  v: () => press("shape", other(["grid", "sector"], radar.shape)),
  m: () => press("view", other(["magnitude", "motion"], state.view)),
  t: () => setTheme(other(THEMES, document.documentElement.dataset.theme)),
};

function moveSite(step) {
  const names = Object.keys(state.status?.sites ?? {}).sort();
  if (names.length > 1) showSite(other(names, state.site, step));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input"))
    return;
  KEYS[event.key.toLowerCase()]?.();
});
for (const button of document.querySelectorAll("[data-set]")) {
  button.addEventListener("click", () => press(button.dataset.set, button.dataset.value));
}
$("site").addEventListener("change", (event) => showSite(event.target.value));
$("theme").addEventListener("click", KEYS.t);
$("curve-table").addEventListener("toggle", drawCurves);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(() => {
  redraw();
  for (const box of document.querySelectorAll(".scroll")) {
    // by keyboard too, where there is more
    box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
  }
}).observe($("main"));
setInterval(tellAge, 1000);
fillLegend();
setTheme(
  THEMES.includes(stored?.getItem("rvsense-theme")) ? stored.getItem("rvsense-theme") : "system",
);
reopen();
