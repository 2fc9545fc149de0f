"""The look of card and page: calm, light and dark, on screen and on paper; no font and no file from elsewhere."""

from typing import Final

CARD: Final = """
.fbkit-card{--ink:var(--fbkit-ink,var(--jp-ui-font-color0,#1f2328));
--soft:var(--fbkit-soft,var(--jp-ui-font-color2,#59636e));
--line:var(--fbkit-line,var(--jp-border-color2,#d0d7de));--bg:var(--fbkit-bg,var(--jp-layout-color0,#fff));
--tile:var(--fbkit-tile,var(--jp-layout-color1,#f6f8fa));
color:var(--ink);background:var(--bg);border:1px solid var(--line);border-left:6px solid var(--mark);
border-radius:6px;
padding:14px 18px;max-width:60rem;
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
.fbkit-card *{box-sizing:border-box}
.fbkit-card .verdict{font-size:20px;font-weight:650;margin:0 0 2px;line-height:1.3}
.fbkit-card .where{color:var(--soft);margin:0 0 10px;font-size:13px}
.fbkit-card .headline{font-size:15px;margin:0 0 12px;max-width:48rem}
.fbkit-card .tiles{display:flex;flex-wrap:wrap;gap:8px;margin:0 0 12px;padding:0}
.fbkit-card .tile{background:var(--tile);border:1px solid var(--line);border-radius:5px;padding:6px 10px;
flex:1 1 10rem}
.fbkit-card .tile b{display:block;font-size:16px;font-weight:600;font-variant-numeric:tabular-nums}
.fbkit-card .tile span{color:var(--soft);font-size:12px}
.fbkit-card h4{margin:14px 0 4px;font-size:13px;font-weight:650;color:var(--ink)}
.fbkit-card .rung{display:grid;grid-template-columns:minmax(9rem,17rem) minmax(6rem,1fr) minmax(11rem,13rem);
gap:10px;align-items:center;
padding:2px 0;font-variant-numeric:tabular-nums}
.fbkit-card .rung small{color:var(--soft);display:block;line-height:1.25}
.fbkit-card .rung.idle{color:var(--soft)}
.fbkit-card .track{position:relative;height:14px;background:var(--tile);border-radius:3px}
.fbkit-card .track i{position:absolute;top:0;bottom:0;border-radius:2px}
.fbkit-card .track u{position:absolute;top:6px;height:2px;background:var(--ink);opacity:.65}
.fbkit-card .track s{position:absolute;top:-2px;bottom:-2px;width:1px;background:var(--soft)}
.fbkit-card ul,.fbkit-card ol{margin:0;padding-left:1.3rem}
.fbkit-card li{margin:2px 0}
.fbkit-card .two{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:0 24px}
.fbkit-card .foot{color:var(--soft);font-size:12px;margin:12px 0 0;border-top:1px solid var(--line);padding-top:6px}
"""

PAGE: Final = """
:root{color-scheme:light dark;--fbkit-ink:#1f2328;--fbkit-soft:#59636e;--fbkit-line:#d0d7de;--fbkit-bg:#fff;
--fbkit-tile:#f6f8fa;--link:#0550ae;--fbkit-hit:#fff3c4}
@media (prefers-color-scheme:dark){:root{--fbkit-ink:#e6edf3;--fbkit-soft:#9da7b1;--fbkit-line:#3d444d;
--fbkit-bg:#12161c;
--fbkit-tile:#1b2027;--link:#79b8ff;--fbkit-hit:#3a3213}}
html{background:var(--fbkit-bg)}
body{margin:0 auto;padding:28px 20px 80px;max-width:62rem;color:var(--fbkit-ink);background:var(--fbkit-bg);
overflow-wrap:anywhere;
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:27px;line-height:1.25;margin:0 0 2px;font-weight:680}
h2{font-size:20px;margin:42px 0 8px;padding-bottom:5px;border-bottom:1px solid var(--fbkit-line);font-weight:650}
h3{font-size:16.5px;margin:26px 0 4px;font-weight:650}
.sub{color:var(--fbkit-soft);margin:0 0 18px}
p{margin:8px 0;max-width:46rem}
p.strong{font-weight:600}
ul,ol{margin:6px 0;padding-left:1.5rem;max-width:46rem}
li{margin:4px 0}
nav{font-size:14px;margin:16px 0 0;color:var(--fbkit-soft)}
nav a{margin-right:14px;color:var(--link);text-decoration:none;white-space:nowrap}
nav a:hover,nav a:focus{text-decoration:underline}
a:focus-visible{outline:2px solid var(--link);outline-offset:2px}
figure{margin:14px 0;padding:10px;background:#fff;border:1px solid var(--fbkit-line);border-radius:6px}
figure img{display:block;max-width:100%;height:auto;margin:0 auto}
.scroll{overflow-x:auto;margin:12px 0}
table{border-collapse:collapse;width:100%;font-size:14px;line-height:1.4;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--fbkit-soft);font-size:13.5px;padding:0 0 5px}
th,td{text-align:left;vertical-align:top;padding:5px 10px;border-bottom:1px solid var(--fbkit-line)}
th{font-weight:600;font-size:13px;color:var(--fbkit-soft);vertical-align:bottom}
th,td{overflow-wrap:break-word}
td{min-width:3.2rem;max-width:26rem;unicode-bidi:isolate}
th.n,td.n{text-align:right}
td.n{white-space:nowrap}
.note{color:var(--fbkit-soft);font-size:13.5px;margin:4px 0 0}
details{margin:12px 0;border:1px solid var(--fbkit-line);border-radius:6px;background:var(--fbkit-tile)}
summary{cursor:pointer;padding:6px 12px;font-size:14px;color:var(--link)}
summary:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:6px}
details>.scroll{margin:4px 12px 12px}
details table{font-size:13px}
a.num{color:inherit;text-decoration:underline dotted var(--link);text-underline-offset:3px}
a.num:hover{color:var(--link)}
tr:target{background:var(--fbkit-hit);outline:2px solid var(--link);outline-offset:-2px;scroll-margin:30vh}
dl{display:grid;grid-template-columns:minmax(9rem,18rem) 1fr;gap:0;margin:10px 0;font-size:15px}
dt,dd{margin:0;padding:5px 10px 5px 0;border-bottom:1px solid var(--fbkit-line)}
dt{color:var(--fbkit-soft)}
dd{font-variant-numeric:tabular-nums}
dd.empty{border-bottom:1px dotted var(--fbkit-soft);min-height:1.9em}
@media (max-width:640px){.scroll table{width:max-content;min-width:100%}td{max-width:17rem}
dl{grid-template-columns:1fr}dt{border-bottom:0;padding-bottom:0}}
@media print{:root{color-scheme:light;--fbkit-ink:#000;--fbkit-soft:#444;--fbkit-line:#bbb;--fbkit-bg:#fff;
--fbkit-tile:#fff}
body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}h2,h3{break-after:avoid}
figure,tr,dl,.fbkit-card{break-inside:avoid}
caption,thead{break-after:avoid}tbody tr:first-child{break-before:avoid}dl{font-size:10pt}
details{border:0;background:none;margin:2px 0}details:not([open]){display:none}a.num{text-decoration:none}
.scroll{overflow:visible}table{font-size:9pt}td.n{white-space:normal}}
"""

COMPACT: Final = """
body.compact{max-width:80rem;padding-bottom:32px}
.compact main{column-gap:44px}
@media (min-width:60rem){.compact main{columns:2}}
@media (max-width:640px){
.compact dt{border-bottom:1px solid var(--fbkit-line)}}
.compact section{break-inside:avoid;overflow:hidden}
.compact h2{font-size:16.5px;margin:24px 0 2px;padding-bottom:3px}
.compact p{font-size:13.5px;margin:6px 0}
.compact dl{font-size:13.5px;margin:4px 0;grid-template-columns:minmax(7rem,12rem) 1fr}
.compact dt,.compact dd{padding:3px 10px 3px 0}
.compact table{font-size:13px}
.compact th,.compact td{padding:3px 10px 3px 0}
.compact .scroll{margin:4px 0}
@media print{@page{size:A4;margin:11mm}
.compact h1{font-size:15pt}.compact .sub{font-size:8pt;margin:0 0 4px}
.compact main{columns:2;column-gap:8mm}
.compact h2{font-size:9.5pt;margin:9px 0 1px;padding-bottom:1px}
.compact p,.compact dl,.compact table{font-size:7.2pt;line-height:1.3;margin:2px 0}
.compact caption,.compact th{font-size:6.8pt}
.compact th,.compact td,.compact dt,.compact dd{padding:1px 6px 1px 0}}
"""
