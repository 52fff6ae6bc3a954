// When would you have stopped? Validation accuracy through trainings, and what a rule reports of it.
(root, { series, rules }) => {
  const five = 5;
  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
  // By rule: what is reported of evaluations 0 to `end`, the last one included.
  const report = {
    last: (curve, end) => curve[end],
    best: (curve, end) => Math.max(...curve.slice(0, end + 1)),
    mean: (curve, end) => mean(curve.slice(Math.max(0, end - five + 1), end + 1)),
  };
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const escape = (text) => text.replace(/[&<]/g, (c) => ({ "&": "&amp;", "<": "&lt;" })[c]);
  const range = (values) =>
    `${(100 * Math.min(...values)).toFixed(1)} to ${percent(Math.max(...values))}`;

  root.innerHTML = `<style>
    svg { height: 250px; }
    .controls > label { flex-basis: 21rem; }
    svg text { font-size: 12px; }
    #stop { width: calc(100% - 48px); margin-left: 40px; } /* as wide as the chart's axis */
  </style>
  <div role="group" aria-label="When would you have stopped?">
    <div class="controls">
      <label>trainings <select id="series">${series.map((s, i) =>
        `<option value="${i}">${escape(s.name)}</option>`).join("")}</select></label>
      <fieldset><legend>what is reported</legend>${Object.entries(rules).map(([key, name]) =>
        `<label><input type="radio" name="rule" value="${key}"> ${name}</label>`).join("")}</fieldset>
    </div>
    <label>stop after evaluation <b id="told"></b>
      <input type="range" id="stop" min="1" step="1"></label>
    <svg id="chart" role="img"></svg>
    <output id="said"></output>
  </div>`;
  const at = (id) => root.querySelector(`#${id}`);
  root.querySelector("[value=last]").checked = true;

  const show = () => {
    const { runs, tested, published } = series[at("series").value];
    const rule = root.querySelector("[name=rule]:checked").value;
    const count = Math.min(...runs.map((curve) => curve.length));
    at("stop").max = count;
    const end = Number(at("stop").value) - 1;
    const reported = Array.from({ length: count }, (_, i) => runs.map((curve) => report[rule](curve, i)));
    const line = reported.map(mean), later = line.slice(Math.floor(count / 2));

    const several = runs.length > 1;
    at("told").textContent = `${end + 1} of ${count}`;
    at("stop").setAttribute("aria-valuetext", `${end + 1} of ${count}, ${percent(line[end])} reported`);
    const said = `On the validation photographs you would have reported ${percent(line[end])}` +
      (several ? `, the mean of ${runs.length} trainings with ${range(reported[end])}. ` : ", of one training. ") +
      `Stopped anywhere in the second half, this rule reports ${range(later)}. ` +
      `On the test photographs the last network has ${percent(mean(tested.last))}, ` +
      `that of the best evaluation ${percent(mean(tested.best))}.`;
    at("said").textContent = said;

    const width = at("chart").clientWidth || 600, height = 250;
    const shown = [...runs.flat(), ...Object.values(published), 0.5];
    const low = Math.floor(20 * Math.min(...shown)) / 20, high = Math.ceil(20 * Math.max(...shown)) / 20;
    const x = (i) => 40 + (i + 0.5) * (width - 48) / count;
    const y = (share) => 10 + (high - share) * (height - 45) / (high - low);
    const path = (curve) => `M${curve.slice(0, count).map((v, i) => `${x(i)},${y(v)}`).join("L")}`;
    const ticks = [];
    for (let share = Math.ceil(10 * low) / 10; share <= high + 1e-9; share += 0.1) ticks.push(share);
    at("chart").setAttribute("viewBox", `0 0 ${width} ${height}`);
    at("chart").setAttribute("aria-label", said);
    at("chart").innerHTML = ticks.map((share) =>
      `<path d="M36,${y(share)}H${width}" stroke="#e3e7ea"/>
       <text x="32" y="${y(share) + 4}" text-anchor="end">${Math.round(100 * share)}%</text>`).join("") +
      runs.map((curve) => `<path d="${path(curve)}" fill="none" stroke="#9aa3ad"/>`).join("") +
      Object.entries(published).map(([name, share]) =>
        `<path d="M36,${y(share)}H${width}" stroke="#22303c" stroke-dasharray="2 4"/>
         <text x="42" y="${y(share) - 5}">${escape(name)}: ${percent(share)}</text>`).join("") +
      `<path d="${path(line)}" fill="none" stroke="#2a6fbb" stroke-width="2.5"/>
       <path d="M${x(end)},10V${height - 35}" stroke="#22303c" stroke-width="1.5"/>
       <circle cx="${x(end)}" cy="${y(line[end])}" r="6" fill="#2a6fbb" stroke="#fff" stroke-width="2"/>` +
      [1, ...[1, 2, 3, 4].map((k) => Math.round(k * count / 4))].map((n) =>
        `<text x="${x(n - 1)}" y="${height - 20}" text-anchor="middle">${n}</text>`).join("") +
      `<text x="${(width + 40) / 2}" y="${height - 3}" text-anchor="middle">evaluation</text>`;
  };
  root.addEventListener("input", show);
  new ResizeObserver(show).observe(root);
  at("stop").max = at("stop").value = Math.min(...series[0].runs.map((curve) => curve.length));
  show();
}
