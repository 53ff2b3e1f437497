// Streams, models, drops, health: what /statusz says, in rows.

function fillSites(status, shown) {
  const rows = Object.entries(status.sites)
    .sort()
    .map(([name, site]) => ({
      head: true,
      current: name === shown,
      cells: [
        name,
        written(site.radar_hz, "hz"),
        written(site.camera_hz, "hz"),
        `${written(site.skew_p50_ms, "ms")} · ${written(site.skew_p99_ms, "ms")}`,
        `${written(site.offset_ms, "ms")} ± ${written(site.tolerance_ms, "ms")}`,
        known(site.radar_age_s) ? ago(site.radar_age_s) : NONE,
      ],
    }));
  fillRows(
    $("sites-table").tBodies[0],
    rows.length ? rows : [{ cells: [["No site has sent a frame yet.", "reason", 6]] }],
  );
}

const EVENTS = {
  swapped: ["serves", "good"],
  restored: ["restored", ""],
  rolled_back: ["rolled back", "warn"],
  refused: ["refused", "bad"],
};

function fillModels(status) {
  const scored = Object.fromEntries(status.score.history.map((item) => [item.model, item]));
  const newest = status.model_history.slice().reverse();
  const serving = newest.find((item) => item.model === status.model?.id && item.event !== "refused");
  const rows = newest.map((item) => {
    const live = scored[item.model];
    const [text, style] = EVENTS[item.event] ?? [item.event, ""];
    const first = [
      clock(item.at_s),
      [text, style],
      item.step === undefined ? NONE : written(item.step, "count"),
    ];
    const rest =
      item.event === "refused"
        ? [[`${item.reason}: ${item.detail}`, "reason", 3]]
        : [
            written(item.labels, "count"),
            written(item.held_out_accuracy, "percent"),
            live ? [live.accuracy, written(live.scored, "count")] : NONE,
          ];
    return {
      current: item === serving,
      head: true,
      cells: [...first, ...rest],
    };
  });
  fillRows($("models-table").tBodies[0], rows);
  say(
    $("refusals"),
    written(
      Object.values(status.refused).reduce((sum, count) => sum + count, 0),
      "count",
    ),
  );
  const { model, learner, page } = status;
  let hint = "";
  if (model) hint = servingWords(model);
  else if (!learner.enabled)
    hint =
      "No model, and nothing learns: put one into the state directory, or start without --no-learn.";
  else if (learner.remote) hint = "No model yet: the learner offers one when it has one.";
  else if (!learner.figures.step)
    hint = `No model yet: training starts after ${page.min_pool_pairs} pairs (${learner.figures.pool ?? 0} so far).`;
  else
    hint = `No model yet: the first is published after some steps (step ${learner.figures.step}; every ${page.publish_every_steps}).`;
  say($("model-hint"), hint);
}

function servingWords({ id, age_s, pinned, held }) {
  const order = pinned ? "; pinned" : "";
  const waiting = held ? `; ${written(held, "count")} held back since the start` : "";
  return `${id} answers, ${FORMS.duration(age_s)} old${order}${waiting}.`;
}

const DROP_WORDS = {
  overload: "more frames than could be answered",
  late: "came too late",
  duplicate: "came twice",
  unmatched: "no partner near enough",
  overflow: "too many waited",
  stale_epoch: "of a clock that is over",
  low_confidence: "little better than a guess",
  out_of_distribution: "unlike what the model knows",
  no_model: "no model yet",
  no_labels: "too few labels yet",
  learner_backlog: "the learner was behind",
  learner_away: "the learner was away",
  learner_lost: "lost with the learner",
};

function drops(status) {
  const rows = [];
  const take = (what, counts) => {
    for (const [reason, count] of Object.entries(counts ?? {})) rows.push({ what, reason, count });
  };
  take("radar frame", status.serving.dropped);
  take("message", status.intake.rejected);
  const unpaired = { radar: {}, camera: {} };
  for (const site of Object.values(status.pairing.sites)) {
    for (const stream of ["radar", "camera"]) {
      for (const [reason, count] of Object.entries(site[stream].dropped)) {
        unpaired[stream][reason] = (unpaired[stream][reason] ?? 0) + count;
      }
    }
  }
  take("unpaired radar", unpaired.radar);
  take("unpaired camera", unpaired.camera);
  take("pair", status.learner.pairs?.dropped);
  take("label", status.learner.labels_dropped);
  rows.push({ what: "label", reason: "its frame was gone", count: status.labels.without_frame });
  take("answer withheld", status.serving.abstained);
  return rows.sort((one, other) => (other.count > 0) - (one.count > 0));
}

function fillDrops(status) {
  const rows = drops(status)
    .filter(({ count }) => count > 0)
    .map(({ what, reason, count }) => ({
      head: true,
      cells: [
        what,
        DROP_WORDS[reason] ? `${DROP_WORDS[reason]} (${reason})` : reason,
        written(count, "count"),
      ],
    }));
  fillRows(
    $("drops").tBodies[0],
    rows.length ? rows : [{ cells: [["Nothing was dropped or withheld.", "reason", 3]] }],
  );
  say(
    $("balance"),
    status.serving.balanced ? "every frame accounted for" : "books are being closed",
  );
}

function fillHealth(status) {
  const { checks } = status.health;
  const key = JSON.stringify(checks);
  const list = $("checks");
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(
    ...checks.map(({ name, ok, reason, gate }) => {
      const style = ok ? "good" : gate === "degraded" ? "warn" : "bad";
      return made(
        "li",
        {},
        made(
          "span",
          { class: style, role: "img", "aria-label": ok ? "good" : "not good" },
          ok ? "✓" : "✕",
        ),
        made("span", {}, name),
        made("span", { class: "reason" }, reason),
      );
    }),
  );
}

function verdictOf({ health }) {
  if (!health.live) return ["bad", "not live"];
  if (!health.ready) return ["bad", "not ready"];
  const failing = health.checks.filter((check) => !check.ok).map((check) => check.name);
  return failing.length ? ["warn", `ready, but: ${failing.join(", ")}`] : ["good", "ready"];
}

function recordingWords(recording) {
  if (!recording) return "off";
  const lost = recording.lost ? `, ${written(recording.lost, "count")} lost` : "";
  return `on since ${recording.since}, by ${recording.by}: ${written(recording.bytes, "bytes")}${lost}`;
}
