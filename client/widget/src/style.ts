/** How the widget looks. Colours, radius and font are custom properties that a page may set on the element. */

const LIGHT = `
--nextalk-background:#fff;--nextalk-surface:#f5f6f8;--nextalk-border:#e3e6eb;--nextalk-text:#1a212c;--nextalk-muted:#5c6675;
--nextalk-accent:#2459c9;--nextalk-on-accent:#fff;--nextalk-link:#1d4fbf;--nextalk-bubble:#eff1f4;--nextalk-danger:#b42318;
--nextalk-shadow:0 1px 2px rgb(16 24 40/.06),0 12px 32px rgb(16 24 40/.18);--sat:42%;--pale:90%;--deep:30%;color-scheme:light;`;

const DARK = `
--nextalk-background:#16191f;--nextalk-surface:#1e222a;--nextalk-border:#2e343f;--nextalk-text:#e6e9ee;--nextalk-muted:#9aa4b2;
--nextalk-accent:#5b8def;--nextalk-on-accent:#0b1220;--nextalk-link:#8fb4ff;--nextalk-bubble:#262b35;--nextalk-danger:#ff8a80;
--nextalk-shadow:0 0 0 1px #2e343f,0 12px 32px rgb(0 0 0/.5);--sat:28%;--pale:26%;--deep:84%;color-scheme:dark;`;

const HOST = `
:host{--nextalk-font:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","PingFang SC","Microsoft YaHei",sans-serif;
--nextalk-font-size:14px;--nextalk-radius:12px;--nextalk-width:380px;--nextalk-height:600px;--nextalk-offset:20px;--nextalk-z-index:2147483000;
${LIGHT}display:contents}
:host([hidden]){display:none}
:host([mode=inline]){display:block;min-height:200px;height:100%}
:host([mode=inline][hidden]){display:none}
:host([theme=dark]){${DARK}}
@media(prefers-color-scheme:dark){:host(:not([theme=light])){${DARK}}}
*,*::before,*::after{box-sizing:border-box}
[hidden]{display:none!important}
.root{font:var(--nextalk-font-size)/1.45 var(--nextalk-font);color:var(--nextalk-text);text-align:start;letter-spacing:normal;
text-transform:none;word-spacing:normal;white-space:normal;-webkit-text-size-adjust:100%}
.root.inline{height:100%}
button,input,textarea{font:inherit;color:inherit;letter-spacing:inherit;margin:0}
button{background:none;border:0;padding:0;cursor:pointer;text-align:start}
h2,p{margin:0;font:inherit}
:focus{outline:none}
:focus-visible{outline:2px solid var(--nextalk-accent);outline-offset:2px}
.icon{width:20px;height:20px;fill:currentColor;display:block;flex:none}
[dir=rtl] .back .icon,[dir=rtl] .send .icon{transform:scaleX(-1)}
.quiet{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
bdi{unicode-bidi:isolate}`;

const FRAME = `
.launcher{position:fixed;inset-inline-end:var(--nextalk-offset);bottom:var(--nextalk-offset);z-index:var(--nextalk-z-index);width:52px;height:52px;
border-radius:50%;display:grid;place-items:center;background:var(--nextalk-accent);color:var(--nextalk-on-accent);
box-shadow:0 1px 2px rgb(16 24 40/.1),0 6px 16px rgb(16 24 40/.24);transition:transform .15s}
.launcher:hover{transform:scale(1.04)}
.launcher:focus-visible{outline-offset:3px}
.launcher .icon{width:24px;height:24px}
.launcher .badge{position:absolute;top:-3px;inset-inline-end:-3px;box-shadow:0 0 0 2px var(--nextalk-background)}
.badge{min-width:19px;height:19px;padding:0 5px;border-radius:10px;background:var(--nextalk-accent);color:var(--nextalk-on-accent);
font-size:11.5px;font-weight:650;line-height:19px;text-align:center;flex:none;font-variant-numeric:tabular-nums}
.launcher .badge{background:#c8281c;color:#fff}
.panel{display:flex;flex-direction:column;overflow:hidden;background:var(--nextalk-background);position:relative}
.docked .panel{position:fixed;z-index:var(--nextalk-z-index);inset-inline-end:var(--nextalk-offset);bottom:calc(var(--nextalk-offset) + 64px);
width:min(var(--nextalk-width),calc(100vw - 2*var(--nextalk-offset)));height:min(var(--nextalk-height),calc(100vh - 2*var(--nextalk-offset) - 72px));
border-radius:var(--nextalk-radius);box-shadow:var(--nextalk-shadow);animation:rise .16s ease-out}
.inline .panel{width:100%;height:100%;border:1px solid var(--nextalk-border);border-radius:var(--nextalk-radius)}
@keyframes rise{from{opacity:0;transform:translateY(8px)}}
.columns{flex:1;min-height:0;display:flex}
.side,.main,.parts{display:flex;flex-direction:column;min-width:0;min-height:0}
.side{flex:1}.main,.parts{flex:1}
[data-view=side] .main,[data-view=main] .side{display:none}
[data-view=both] .side{flex:0 0 clamp(220px,32%,300px);border-inline-end:1px solid var(--nextalk-border);background:var(--nextalk-surface)}
[data-view=both] .back{display:none}
@media(max-width:480px),(max-height:420px){
.docked .panel{inset:0;width:100%;height:100%;height:100dvh;border-radius:0;padding-bottom:env(safe-area-inset-bottom)}
.docked[data-open] .launcher{display:none}}
header{display:flex;align-items:center;gap:8px;min-height:52px;padding:6px 8px 6px 14px;flex:none}
[dir=rtl] header{padding:6px 14px 6px 8px}
.main header{border-bottom:1px solid var(--nextalk-border);padding-inline-start:6px}
[data-view=both] .main header{padding-inline-start:14px}
.tool{width:36px;height:36px;border-radius:8px;display:grid;place-items:center;color:var(--nextalk-muted);flex:none}
.tool:hover,.tool[aria-expanded=true]{background:var(--nextalk-surface);color:var(--nextalk-text)}
.titles{flex:1;min-width:0;display:flex;flex-direction:column;line-height:1.3}
h2{font-weight:620;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;unicode-bidi:plaintext}
.subtitle{font-size:.86em;color:var(--nextalk-muted);overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
[dir=rtl] h2{text-align:right}[dir=ltr] h2{text-align:left}
.banner{display:none;align-items:center;gap:10px;padding:7px 14px;font-size:.9em;background:var(--nextalk-surface);color:var(--nextalk-muted);
border-bottom:1px solid var(--nextalk-border)}
.banner[data-state]{display:flex}
.banner[data-state=waiting]::before,.banner[data-state=connecting]::before{content:"";width:8px;height:8px;border-radius:50%;background:#d98200;flex:none}
.banner[data-state=stopped]{color:var(--nextalk-danger)}
.banner>:first-child{flex:1;min-width:0}
.text{color:var(--nextalk-link);font-weight:600;text-decoration:underline;text-underline-offset:2px;padding:2px;flex:none}
.mistake{padding:10px 14px;border:1px solid var(--nextalk-border);border-radius:8px;background:var(--nextalk-background);color:var(--nextalk-danger)}
.docked .mistake{position:fixed}`;

const LIST = `
.chooser{position:relative;flex:1;min-width:0}
.status{display:inline-flex;align-items:center;gap:8px;max-width:100%;padding:6px 8px;margin-inline-start:-8px;border-radius:8px;font-weight:600}
.status:hover,.status[aria-expanded=true]{background:var(--nextalk-surface)}
[data-view=both] .status:hover,[data-view=both] .status[aria-expanded=true]{background:var(--nextalk-border)}
.status .icon{width:16px;height:16px;color:var(--nextalk-muted)}
.label{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.dot{width:10px;height:10px;border-radius:50%;background:var(--nextalk-muted);flex:none;display:inline-block}
.dot[data-show=available],.dot[data-show=chat]{background:#1f9d55}
.dot[data-show=away]{background:none;border:2.5px solid #d98200}
.dot[data-show=busy]{background:#d64533}
.dot[data-show=dnd]{background:linear-gradient(#fff,#fff) center/6px 2px no-repeat,#d64533}
.dot[data-show=invisible],.dot[data-show=offline],.dot[data-show=unavailable]{background:none;border:2px solid var(--nextalk-muted)}
.menu{position:absolute;z-index:2;top:calc(100% + 4px);inset-inline-start:-8px;min-width:220px;padding:6px;border-radius:10px;
background:var(--nextalk-background);box-shadow:var(--nextalk-shadow);border:1px solid var(--nextalk-border)}
.menu button{display:flex;align-items:center;gap:10px;width:100%;padding:7px 10px;border-radius:6px}
.menu button:hover,.menu button:focus-visible{background:var(--nextalk-surface)}
.menu button:focus-visible{outline-offset:-2px}
.menu .mark{width:10px;flex:none}
.menu .tick{margin-inline-start:auto;width:18px}
.menu .tick .icon{width:18px;height:18px;color:var(--nextalk-accent)}
.rule{height:1px;margin:6px 4px;background:var(--nextalk-border)}
.note{padding:6px 10px;color:var(--nextalk-danger);font-size:.9em}
.field{position:relative;margin:0 12px 8px;flex:none}
.field .icon{position:absolute;inset-inline-start:9px;top:50%;margin-top:-8px;width:16px;height:16px;color:var(--nextalk-muted);pointer-events:none}
.search{width:100%;height:34px;padding:0 32px;border:1px solid transparent;border-radius:8px;background:var(--nextalk-surface);appearance:none}
[data-view=both] .search{background:var(--nextalk-background);border-color:var(--nextalk-border)}
.search::placeholder,textarea::placeholder{color:var(--nextalk-muted);opacity:1}
.search:focus-visible,textarea:focus-visible{outline-offset:-1px}
.search::-webkit-search-cancel-button{appearance:none}
.scroll{overflow-y:auto;overflow-x:hidden;overscroll-behavior:contain;scrollbar-width:thin;scrollbar-color:var(--nextalk-border) transparent}
.list,.members{flex:1;min-height:0;padding-bottom:8px;position:relative}
.members{padding-top:6px}
.rows{position:relative;margin:0 6px}
.rows>*{position:absolute;top:0;inset-inline:0}
h2.section{padding:10px 8px 4px;font-size:.82em;font-weight:600;color:var(--nextalk-muted)}
.row{display:flex;align-items:center;gap:10px;width:100%;padding:0 8px;border-radius:8px}
.row:hover{background:var(--nextalk-surface)}
.row:focus-visible{outline-offset:-2px}
[data-view=both] .row:hover{background:var(--nextalk-border)}
[data-view=both] .row[aria-current]{background:var(--nextalk-background);box-shadow:0 0 0 1px var(--nextalk-border)}
.about{flex:1;min-width:0;display:flex;flex-direction:column;line-height:1.35}
.first{display:flex;align-items:baseline;gap:8px}
.name{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-weight:560}
.person .name,.room .name{flex:none}
.first time{font-size:.8em;color:var(--nextalk-muted);flex:none}
.more{display:flex;gap:4px;font-size:.88em;color:var(--nextalk-muted);white-space:nowrap}
.more bdi{overflow:hidden;text-overflow:ellipsis;flex:0 1 auto;min-width:0}
.more .who{flex:none;max-width:50%}
[dir=rtl] .name{text-align:right}[dir=ltr] .name{text-align:left}
.row .badge{align-self:center}
.avatar{position:relative;width:34px;height:34px;border-radius:50%;display:grid;place-items:center;flex:none;font-weight:620;font-size:14px;line-height:1;
background:hsl(var(--hue) var(--sat) var(--pale));color:hsl(var(--hue) var(--sat) var(--deep))}
.avatar.room{border-radius:9px;background:var(--nextalk-bubble);color:var(--nextalk-muted)}
.avatar .dot{position:absolute;bottom:-2px;inset-inline-end:-2px;width:12px;height:12px;border:2px solid var(--nextalk-background);background-clip:padding-box}
.avatar .dot[data-show=away],.avatar .dot[data-show=offline],.avatar .dot[data-show=unavailable],.avatar .dot[data-show=invisible]{
background:var(--nextalk-background);border:2.5px solid #d98200;box-shadow:0 0 0 2px var(--nextalk-background);width:9px;height:9px;bottom:0;inset-inline-end:0}
.avatar .dot[data-show=offline],.avatar .dot[data-show=unavailable],.avatar .dot[data-show=invisible]{border:2px solid var(--nextalk-muted)}
.person,.members .row{--face:28px}
.person .avatar,.members .avatar,.row.room>.avatar{width:30px;height:30px;font-size:13px}
.hint{padding:14px;color:var(--nextalk-muted);text-align:center}
.hint:empty{display:none}
.pick{margin:auto}`;

const THREAD = `
.thread{flex:1;min-height:0;position:relative;display:flex}
.log{flex:1;min-width:0;padding:10px 14px 6px;overflow-anchor:none;position:relative}
.log:focus-visible{outline-offset:-2px}
.log{display:flex;flex-direction:column}.log>*{flex:none}.lines{margin-top:auto}
.line{display:flex;gap:8px;align-items:flex-start}
.head{margin-top:8px}
.line:not(.head) .content{margin-top:2px}
.mine{justify-content:flex-end}
.faced:not(.head){padding-inline-start:36px}
.faced .avatar{width:28px;height:28px;font-size:12px;margin-top:2px}
.content{min-width:0;max-width:82%;display:flex;flex-direction:column;align-items:flex-start}
.mine .content{align-items:flex-end}
.by{font-size:.84em;font-weight:600;color:var(--nextalk-muted);padding-inline:2px;max-width:100%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.by.quiet{padding:0}
.bubble{position:relative;max-width:100%;padding:6px 11px;border-radius:calc(var(--nextalk-radius) + 2px);background:var(--nextalk-bubble);
white-space:pre-wrap;overflow-wrap:anywhere;text-align:start;isolation:isolate;overflow:hidden}
.theirs .bubble{border-end-start-radius:4px}
.mine .bubble{border-end-end-radius:4px;background:none}
.mine .bubble::before{content:"";position:absolute;inset:0;z-index:-1;background:var(--nextalk-accent);opacity:.15}
.bubble.emoji{background:none;font-size:2.1em;line-height:1.25;padding:0 2px}
.bubble.emoji::before{display:none}
a{color:var(--nextalk-link);text-underline-offset:2px}
.picture{display:block;max-width:100%;border-radius:var(--nextalk-radius);overflow:hidden;margin-bottom:2px}
.picture img{display:block;max-width:min(100%,260px);max-height:260px;min-height:40px;object-fit:cover;background:var(--nextalk-surface)}
.foot{display:flex;flex-wrap:wrap;align-items:center;gap:2px 7px;font-size:.79em;color:var(--nextalk-muted);padding:2px 3px 0;max-width:100%}
.mine .foot{justify-content:flex-end}
.foot time{font-variant-numeric:tabular-nums}
.bad .outcome,.bad .reason{color:var(--nextalk-danger)}
.reason{overflow-wrap:anywhere}
.day{display:flex;align-items:center;gap:10px;margin:14px 0 4px;font-size:.82em;color:var(--nextalk-muted)}
.day::before,.day::after{content:"";flex:1;height:1px;background:var(--nextalk-border)}
.day.new{color:var(--nextalk-accent);font-weight:600}
.day.new::before,.day.new::after{background:var(--nextalk-accent);opacity:.45}
.typing{min-height:20px;padding:4px 2px 0;font-size:.86em;color:var(--nextalk-muted);unicode-bidi:plaintext;text-align:start;
overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.newest{position:absolute;bottom:10px;inset-inline-end:14px;display:flex;align-items:center;gap:6px;height:34px;min-width:34px;justify-content:center;padding:0 8px;
border-radius:17px;background:var(--nextalk-background);border:1px solid var(--nextalk-border);box-shadow:0 2px 8px rgb(16 24 40/.16);font-size:.88em;font-weight:600}
.newest .icon{width:18px;height:18px}
.composer{display:flex;align-items:flex-end;gap:8px;padding:8px 10px 10px;border-top:1px solid var(--nextalk-border);flex:none}
textarea{flex:1;min-width:0;height:38px;min-height:38px;max-height:132px;padding:8px 12px;border:1px solid var(--nextalk-border);border-radius:var(--nextalk-radius);
background:var(--nextalk-background);resize:none;line-height:1.45;overflow-y:auto;scrollbar-width:thin}
.send{width:38px;height:38px;border-radius:var(--nextalk-radius);display:grid;place-items:center;background:var(--nextalk-accent);color:var(--nextalk-on-accent);flex:none}
.send[aria-disabled=true]{background:var(--nextalk-surface);color:var(--nextalk-muted)}
@media(max-width:480px){.docked textarea,.docked .search{font-size:16px}}
@media(prefers-reduced-motion:reduce){*,*::before,*::after{animation:none!important;transition:none!important}}
@media(forced-colors:active){.dot,.badge{forced-color-adjust:none}.mine .bubble{border:1px solid}}`;

export const STYLE = [HOST, FRAME, LIST, THREAD].join('').replace(/\n/g, '');
