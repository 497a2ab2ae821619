"""The look of report pages, and their one script: light and dark, desktop and phone, nothing loaded from elsewhere."""

STYLE = """
:root { --page: #ffffff; --ink: #1d2329; --soft: #5c6670; --line: #d8dde2; --card: #f5f7f9; --accent: #005a8c; 
  --warn: #8a4b00; --warn-card: #fff6e5; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --page: #14181c; --ink: #e4e8ec; --soft: #9aa5b0; --line: #333b43; 
  --card: #1d2329; --accent: #6cb8e8; --warn: #f0b860; --warn-card: #2b2415; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; max-width: 62rem; margin: 0 auto;
  padding: 1.5rem 1rem 4rem; color: var(--ink); background: var(--page); }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .2em 0 .6em; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; } a { color: var(--accent); }
p.kind { color: var(--soft); margin: 0; font-size: .9rem; }
.answer { border-left: 4px solid var(--accent); background: var(--card); padding: .8rem 1rem; font-size: 1.05rem;
  white-space: pre-line; }
.warnings { border-left: 4px solid var(--warn); background: var(--warn-card); padding: .6rem 1rem; margin: 1rem 0; }
.warnings h2 { margin: 0 0 .3rem; font-size: 1rem; color: var(--warn); } .warnings ul { margin: 0; padding-left: 1.2rem; }
figure { margin: 1.2rem 0; } figure img { display: block; width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; padding: 6px; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; }
.scroll { overflow-x: auto; margin: .6rem 0; } table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible { outline: 2px solid var(--accent); }
th[aria-sort=ascending] button::after { content: " \\2191"; } th[aria-sort=descending] button::after { content: " \\2193"; }
p.printed { white-space: pre-line; margin: 1rem 0 .2rem; }
pre, code { font: .85rem/1.4 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; }
pre { background: var(--card); padding: .8rem; overflow-x: auto; border-radius: 6px; }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere; }
p code, td code, li code { background: var(--card); padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
details { margin: .8rem 0; } summary { cursor: pointer; font-weight: 600; } table.settings td { overflow-wrap: anywhere; }
@media print { details > * { display: block; } }
"""

# A click on a heading sorts its column: by the number that a cell begins with, or as text. A second click reverses the order.
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button"; button.append(...head.childNodes); head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(h => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = row => { const cell = row.cells[column]; return cell.dataset.value ?? cell.textContent.trim(); };
      const order = (a, b) => { const x = key(a), y = key(b), n = Number(x), m = Number(y);
        return x !== "" && y !== "" && !isNaN(n) && !isNaN(m) ? n - m : x.localeCompare(y, undefined, {numeric: true}); };
      [...body.rows].sort((a, b) => (up ? 1 : -1) * order(a, b)).forEach(row => body.append(row));
    });
  });
}
"""
