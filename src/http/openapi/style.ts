/** The style of the page; its hash stands in the page's content security policy. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1d2430; --soft: #5b6675; --line: #e1e5ea; --shade: #f5f7f9; --link: #1c5fb8;
  --get: #1c6b3a; --post: #1c5fb8; --bad: #b3372e; --warm: #9a5b00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181e; --ink: #dde3ea; --soft: #98a3b1; --line: #2b323c; --shade: #1c222a; --link: #7fb2f5;
    --get: #7ccb98; --post: #7fb2f5; --bad: #f0908a; --warm: #e3b341;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  display: grid; grid-template-columns: 17rem minmax(0, 1fr);
}
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible, pre:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
nav {
  position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.25rem 1.25rem 2rem;
  border-right: 1px solid var(--line); background: var(--shade); font-size: .9rem;
}
nav a { display: block; padding: .15rem 0; }
nav .title { font-weight: 700; font-size: 1.05rem; color: var(--ink); }
nav p {
  margin: 1.1rem 0 .2rem; color: var(--soft); font-size: .72rem; font-weight: 600;
  letter-spacing: .06em; text-transform: uppercase;
}
main { padding: 2rem clamp(1rem, 4vw, 3.5rem) 6rem; max-width: 58rem; min-width: 0; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; }
h2 { margin: 4rem 0 .5rem; padding-bottom: .4rem; border-bottom: 1px solid var(--line); font-size: 1.5rem; }
h3 { margin: 2.75rem 0 .4rem; font-size: 1.15rem; }
h4 { margin: 1.5rem 0 .4rem; font-size: .95rem; }
h5 { margin: 1rem 0 .3rem; font-size: .8rem; color: var(--soft); }
p, ul { margin: .6rem 0; }
ul, ol { padding-left: 1.3rem; }
li { margin: .3rem 0; }
.lead { font-size: 1.15rem; color: var(--soft); }
code { font: .875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; }
p code, li code, dd code, dt code { background: var(--shade); border-radius: 4px; padding: .1em .3em; }
pre {
  margin: .3rem 0 .9rem; padding: .8rem 1rem; overflow-x: auto; background: var(--shade);
  border: 1px solid var(--line); border-radius: 8px;
}
pre code { overflow-wrap: normal; }
.call { display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline; }
.call b { font-size: .75rem; letter-spacing: .04em; border: 1px solid; border-radius: 4px; padding: .05rem .4rem; }
.get { color: var(--get); }
.post { color: var(--post); }
.fields { margin: .3rem 0 0; }
.fields div {
  display: grid; grid-template-columns: minmax(9rem, 15rem) minmax(0, 1fr); gap: .1rem 1.25rem;
  padding: .55rem 0; border-top: 1px solid var(--line);
}
.fields dt { display: flex; flex-wrap: wrap; gap: .2rem .5rem; align-content: start; align-items: baseline; }
.fields dt code { font-weight: 600; }
.fields b { color: var(--warm); font-size: .72rem; }
.fields span { flex-basis: 100%; color: var(--soft); font-size: .8rem; }
.fields dd { margin: 0; font-size: .93rem; }
.caption { margin: .6rem 0 .2rem; color: var(--soft); font-size: .8rem; }
.caption:empty { display: none; }
.answer { margin: .7rem 0; }
.answer .body, .errors .body { background: none; padding: 0; color: var(--soft); font-size: .8rem; }
.status { font-weight: 700; }
.status.good { color: var(--get); }
.status.bad { color: var(--bad); }
@media (max-width: 54rem) {
  body { display: block; }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); padding: 1rem; }
  nav a { display: inline-block; margin-right: 1rem; }
  nav .title { display: block; }
  nav p { margin-top: .6rem; }
  main { padding-top: 1.25rem; }
  h1 { font-size: 1.6rem; }
  .fields div { grid-template-columns: minmax(0, 1fr); }
  .fields span { flex-basis: auto; }
}
@media print {
  nav { display: none; }
  body { display: block; }
}
`;
