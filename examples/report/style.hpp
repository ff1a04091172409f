#pragma once

/// @file
/// The look of report.html, light or dark as the reader's system is.

namespace maestro::examples::detail {

inline constexpr const char* report_style = R"css(
:root{color-scheme:light dark;--back:#fff;--text:#1d2129;--soft:#5d6570;--line:#dfe3e8;--card:#f6f7f9;
--c0:#0067a6;--c1:#c84e00;--c2:#00805c;--c3:#b0528b;--c4:#a87400;--c5:#2f95c9;--c6:#6a48a5;--c7:#5b626b;
--plus:0,103,166;--minus:200,78,0}
@media(prefers-color-scheme:dark){:root{--back:#14171c;--text:#e5e8ec;--soft:#9aa3ae;--line:#2d333b;--card:#1c2027;
--c0:#5fb4ee;--c1:#f59151;--c2:#4cc79f;--c3:#e08fc2;--c4:#e0b24a;--c5:#8fd3f7;--c6:#b39ae6;--c7:#aab2bc;
--plus:95,180,238;--minus:245,145,81}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1320px;padding:24px;background:var(--back);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 12px}p{margin:4px 0;color:var(--soft)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(380px,100%),1fr));gap:16px}
figure{margin:0;padding:12px;background:var(--card);border:1px solid var(--line);border-radius:8px}
figcaption{font-weight:600}figcaption small{display:block;font-weight:400;color:var(--soft);min-height:1.4em}
svg{width:100%;height:auto;display:block;margin-top:6px}
polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}.faint{opacity:.28;stroke-width:1}.dashed{stroke-dasharray:4 4}
.rule{stroke:var(--line)}.tick{font-size:11px;fill:var(--soft)}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}
.c5{stroke:var(--c5)}.c6{stroke:var(--c6)}.c7{stroke:var(--c7)}
circle.c0,i.c0{fill:var(--c0);background:var(--c0)}circle.c1,i.c1{fill:var(--c1);background:var(--c1)}
circle.c2,i.c2{fill:var(--c2);background:var(--c2)}circle.c3,i.c3{fill:var(--c3);background:var(--c3)}
circle.c4,i.c4{fill:var(--c4);background:var(--c4)}circle.c5,i.c5{fill:var(--c5);background:var(--c5)}
circle.c6,i.c6{fill:var(--c6);background:var(--c6)}circle.c7,i.c7{fill:var(--c7);background:var(--c7)}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:13px;color:var(--soft)}.legend b{color:var(--text)}
.legend i{display:inline-block;width:12px;height:3px;vertical-align:middle;margin-right:5px;border-radius:2px}
.wide{overflow-x:auto}.double{grid-column:span 2}
@media(max-width:840px){.double{grid-column:auto}}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:500}td.n,th.n{text-align:right}
td.cell{text-align:center;min-width:64px;padding:4px 8px}
details{margin:8px 0}summary{cursor:pointer;font-weight:600}
.prompt{white-space:pre-wrap;overflow-wrap:anywhere;padding:10px 12px;border-left:3px solid var(--line);color:var(--soft);
margin:12px 0 8px;max-height:180px;overflow:auto}
.answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(260px,100%),1fr));gap:12px}
.answer{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px}
.answer pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 8px;max-height:320px;overflow:auto;
font:13px/1.45 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.answer table{width:100%;font-size:13px}.up{color:var(--c2);font-weight:600}.down{color:var(--c1);font-weight:600}
)css";

}  // namespace maestro::examples::detail
