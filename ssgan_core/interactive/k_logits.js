// Two logits, moved by hand or by training: Z, D, the classes and both losses.
(root, { start, untied, tied, rate }) => {
  const LIMIT = 6;
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const measure = (logits) => {
    const top = Math.max(...logits);
    const logZ = top + Math.log(logits.reduce((sum, l) => sum + Math.exp(l - top), 0));
    const real = softplus(-logZ), fake = softplus(logZ);
    return { z: Math.exp(logZ), d: Math.exp(-real), generated: Math.exp(-fake), real, fake,
             p: logits.map((l) => Math.exp(l - logZ)) };
  };
  // The gradient of -log D by logit k is -(1 - D) p(k | x).
  const realStep = (logits) => {
    const { generated, p } = measure(logits);
    return logits.map((l, k) => l + rate * generated * p[k]);
  };
  let logits, steps;

  const row = (id, name, color) => `<tr><th scope="row">${name}</th>
    <td class="bar"><i id="${id}-bar" style="background: ${color}"></i></td><td id="${id}"></td></tr>`;
  const rows = (title, ...content) =>
    `<tbody><tr><th class="title" colspan="3" scope="rowgroup">${title}</th></tr>${content.join("")}</tbody>`;
  const BLUE = "#2a6fbb", ORANGE = "#f08a24", RED = "#d62f4b", GREEN = "#2c7a52", GRAY = "#6b7680";
  root.innerHTML = `<style>
    table { width: 100%; border-collapse: collapse; }
    th { width: 1%; padding: 0.1rem 0.8rem 0.1rem 0; font-weight: 400; text-align: left; white-space: nowrap; }
    th.title { padding-top: 0.5rem; font-weight: 600; white-space: normal; }
    @media (max-width: 500px) { th { width: 45%; white-space: normal; } }
    td { font-variant-numeric: tabular-nums; white-space: nowrap; }
    td:last-child { width: 4em; text-align: right; }
    .bar { background: #eef1f4; border-block: 3px solid #fff; }
    .bar i { display: block; height: 0.95rem; print-color-adjust: exact; }
  </style>
  <div role="group" aria-label="The K-logit machine">
    <div class="controls">${[0, 1].map((k) => `<label>logit of class ${k + 1}: <b id="told-${k}"></b>
      <input type="range" id="logit-${k}" min="${-LIMIT}" max="${LIMIT}" step="0.1"></label>`).join("")}
    </div>
    <div class="buttons">
      <button type="button" id="raise">Raise all by 1</button>
      <button type="button" id="real">One real step</button>
      <button type="button" id="untied">Untied start</button>
      <button type="button" id="tied">Tied start</button>
    </div>
    <output id="said"></output>
    <table>
      ${rows("Softmax over K + 1 logits, the last one fixed at 0",
        row("first", "class 1", BLUE), row("second", "class 2", ORANGE),
        row("generated", "generated", RED))}
      ${rows(`<span id="z"></span>`, row("d", "D = Z / (Z + 1)", GREEN))}
      ${rows("Given that the point is real",
        row("p1", "p(1 | x)", BLUE), row("p2", "p(2 | x)", ORANGE))}
      ${rows("Losses of the discriminator", row("loss-real", "real: −log D", GRAY),
        row("loss-fake", "generated: −log(1 − D)", GRAY))}
    </table>
  </div>`;
  const at = (id) => root.querySelector(`#${id}`);
  const percent = (share) => `${(100 * share).toFixed(0)} %`;
  const number = (value) => value.toFixed(2).replace("-", "−");

  const show = (said) => {
    const now = measure(logits);
    logits.forEach((value, k) => {
      const told = number(value);
      at(`told-${k}`).textContent = told;
      at(`logit-${k}`).value = value;
      at(`logit-${k}`).setAttribute("aria-valuetext", `${told}, p(${k + 1} | x) ${percent(now.p[k])}`);
    });
    const bar = (id, share, told) => {
      at(id).textContent = told;
      at(`${id}-bar`).style.width = `${100 * Math.min(share, 1)}%`;
    };
    bar("first", now.d * now.p[0], percent(now.d * now.p[0]));
    bar("second", now.d * now.p[1], percent(now.d * now.p[1]));
    bar("generated", now.generated, percent(now.generated));
    at("z").textContent =
      `Z = ${logits.map((l) => Math.exp(l).toFixed(2)).join(" + ")} = ${now.z.toFixed(2)}`;
    bar("d", now.d, now.d.toFixed(3));
    now.p.forEach((p, k) => bar(`p${k + 1}`, p, percent(p)));
    bar("loss-real", now.real / LIMIT, now.real.toFixed(2));
    bar("loss-fake", now.fake / LIMIT, now.fake.toFixed(2));
    at("raise").disabled = Math.max(...logits) + 1 > LIMIT;
    at("said").textContent = said;
  };
  const begin = (from, said) => {
    [logits, steps] = [[...from], 0];
    show(said);
  };
  const lead = (p) => `${percent(p[0])} and ${percent(p[1])}`;

  [0, 1].forEach((k) => at(`logit-${k}`).addEventListener("input", (event) => {
    logits[k] = Number(event.target.value);
    begin(logits, `Logits ${logits.map(number).join(" and ")}.`);
  }));
  at("raise").addEventListener("click", () => {
    const before = measure(logits);
    const raised = logits.map((l) => l + 1), after = measure(raised);
    begin(raised, `All raised by 1: D goes from ${before.d.toFixed(3)} to ${after.d.toFixed(3)}, ` +
      `the classes stay at ${lead(after.p)}.`);
  });
  at("real").addEventListener("click", () => {
    const before = measure(logits);
    logits = realStep(logits);
    steps += 1;
    const after = measure(logits), equal = logits[0] === logits[1];
    show(`Real step ${steps}: D goes from ${before.d.toFixed(3)} to ${after.d.toFixed(3)}. ` + (equal
      ? "Both logits rose by the same."
      : `The classes go from ${lead(before.p)} to ${lead(after.p)}: the leader got the larger push.`));
  });
  at("untied").addEventListener("click", () => begin(untied,
    `An untrained network by chance: ${untied.map(number).join(" and ")}. Now take real steps.`));
  at("tied").addEventListener("click", () => begin(tied,
    `Both logits at ${number(tied[0])}. Now take real steps.`));
  begin(start, `Logits ${start.map(number).join(" and ")}, as in the text.`);
}
