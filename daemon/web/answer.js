// The answer to the newest frame: the class, or why there is none; probabilities over a minute.

const WHY = {
  no_model: "No model serves yet, so every frame is answered without a class.",
  no_labels: "A model serves, but it has not seen enough labels to name classes.",
  out_of_distribution: "This frame is unlike the frames that the model knows.",
  low_confidence: "The likeliest class is little better than a guess.",
};
const NOT_YET = ["no_model", "no_labels"];
const SPAN_S = 60;
const GAP_S = 1.5; // a stream that was silent for longer has no line over it
const SPEAK_EVERY_MS = 3000;
const POINTS = 600;

class AnswerCard {
  constructor() {
    this.chart = new LineChart($("probabilities"));
    this.recent = [];
    this.spoken = { text: "", at: 0 };
    $("bars").append(
      ...GRID.classes.map((name) => {
        const fill = made("div", { class: "fill", "data-class": name });
        return made(
          "li",
          { "data-name": name },
          made("span", {}, word(name)),
          made("div", { class: "track", "aria-hidden": "true" }, fill),
          made("span", { class: "value" }, NONE),
        );
      }),
    );
  }

  begin(answers) {
    this.recent = [];
    answers.forEach((answer) => this.remember(moment(answer)));
    this.draw();
  }

  forget() {
    this.recent = [];
    this.last = null;
    this.verdict("none", NONE, "");
    say($("why"), "Waiting for the first answer.");
    for (const id of ["ood", "latency", "result-seq", "drift", "answer-model"]) say($(id), NONE);
    this.bars({});
    this.draw();
  }

  show(answer) {
    this.last = answer;
    const [shown, share] = inWords(answer);
    this.verdict(answer.label ?? "none", shown, share);
    say($("why"), whyOf(answer));
    say($("ood"), written(answer.ood_score, "fixed2"));
    say($("latency"), written(answer.latency_ms, "ms"));
    say($("result-seq"), written(answer.result_seq, "count"));
    say($("drift"), answer.drift ? "flagged" : "none");
    say($("answer-model"), answer.model ?? "none yet");
    this.bars(answer.probs);
    this.remember(moment(answer));
    this.speak(answer, shown, share);
    document.title = `${shown} ${share}`.trim() + " · rvsense";
    this.draw();
  }

  // The newest answer may be among the recent ones. One that is older than they are tells that the
  // daemon's clock was set back: they lie in its future, and the chart begins anew.
  remember(newest) {
    const last_s = this.recent.at(-1)?.at_s ?? -Infinity;
    if (newest.at_s < last_s) this.recent = [];
    if (newest.at_s !== last_s) this.recent.push(newest);
    this.recent = this.recent.slice(-POINTS);
  }

  verdict(name, shown, share) {
    const verdict = $("verdict");
    verdict.dataset.class = name;
    if (verdict.dataset.text === shown + share) return;
    verdict.dataset.text = shown + share;
    verdict.replaceChildren(shown, made("span", { class: "share" }, share));
  }

  bars(probs) {
    for (const item of $("bars").children) {
      const share = probs[item.dataset.name];
      item.querySelector(".fill").style.width = known(share) ? `${100 * share}%` : "0";
      say(item.querySelector(".value"), written(share, "percent"));
    }
  }

  // Only what changes the meaning is read out, and not more often than one can listen.
  speak(answer, shown, share) {
    const text = answer.label ?? answer.abstain;
    if (text === this.spoken.text || performance.now() - this.spoken.at < SPEAK_EVERY_MS) return;
    this.spoken = { text, at: performance.now() };
    say(
      $("spoken"),
      answer.label === null ? `No answer. ${WHY[answer.abstain] ?? ""}` : `${shown}, ${share}`,
    );
  }

  draw() {
    const now = this.recent.at(-1)?.at_s ?? 0;
    const x = this.recent.map((item) => item.at_s);
    const lines = GRID.classes.map((name, index) => ({
      x,
      y: this.recent.map((item) => item.probs[name] ?? null),
      name: word(name),
      colour: themed(name),
      dash: DASHES[index],
      gap: GAP_S,
    }));
    this.chart.show(lines, {
      low: 0,
      high: 1,
      span: SPAN_S,
      now,
      form: FORMS.percent,
      axisForm: (value) => `${Math.round(100 * value)}%`,
    });
    const last = this.last?.probs ?? {};
    const words = GRID.classes
      .map((name) => `${word(name)} ${written(last[name], "percent")}`)
      .join(", ");
    $("probabilities").setAttribute(
      "aria-label",
      `Class probabilities over the last minute; now: ${words}`,
    );
  }
}

// What stands in large letters, and the confidence beside it.
function inWords({ label, abstain, confidence }) {
  if (label !== null) return [word(label), written(confidence, "percent")];
  return [NOT_YET.includes(abstain) ? "No class yet" : "Withheld", ""];
}

function whyOf({ label, abstain, likeliest, confidence }) {
  if (label !== null) return "The calibrated probability of the likeliest class.";
  const reason = WHY[abstain] ?? abstain;
  if (likeliest === null) return reason;
  return `${reason} Its guess: ${word(likeliest)} ${written(confidence, "percent")}.`;
}

function moment(answer) {
  return { at_s: answer.published_ns / 1e9, probs: answer.probs };
}

// Lines are told apart by their dashes too.
function fillLegend() {
  $("legend").replaceChildren(
    ...GRID.classes.map((name, index) => {
      const space = "http://www.w3.org/2000/svg";
      const svg = document.createElementNS(space, "svg");
      const line = document.createElementNS(space, "line");
      svg.setAttribute("viewBox", "0 0 22 8");
      svg.setAttribute("aria-hidden", "true");
      for (const [key, value] of Object.entries({
        x1: 0,
        x2: 22,
        y1: 4,
        y2: 4,
        "stroke-width": 2,
        "stroke-dasharray": DASHES[index].join(" "),
      })) {
        line.setAttribute(key, value);
      }
      line.style.stroke = `var(--${name})`;
      svg.append(line);
      return made("li", {}, svg, word(name));
    }),
  );
}
