/** The frame of every page of the documentation: plain HTML, no script, light and dark. */

export interface Place {
  readonly title: string;
  /** Path of the page without ending, as `guide/ci`. */
  readonly stem: string;
}

const sections: readonly (readonly [string, readonly Place[]])[] = [
  [
    'Begin',
    [
      { title: 'Overview', stem: 'index' },
      { title: 'Quick start', stem: 'guide/quick-start' },
    ],
  ],
  [
    'Walk-throughs',
    [
      { title: 'USB stick', stem: 'guide/usb-stick' },
      { title: 'Server', stem: 'guide/server' },
      { title: 'Container', stem: 'guide/container' },
      { title: 'Beside a home router', stem: 'guide/home-router' },
      { title: 'Continuous integration', stem: 'guide/ci' },
      { title: 'IP-KVM and BMC', stem: 'guide/ip-kvm' },
      { title: 'Releases', stem: 'guide/releases' },
    ],
  ],
  [
    'Understand',
    [
      { title: 'Architecture', stem: 'guide/architecture' },
      { title: 'How a flash works', stem: 'engine' },
      { title: 'The network side', stem: 'network' },
      { title: 'The live system', stem: 'live' },
      { title: 'Images', stem: 'images' },
      { title: 'Media', stem: 'media' },
      { title: 'Tasks', stem: 'tasks' },
      { title: 'The desktop app', stem: 'app' },
      { title: 'The appliance’s pages', stem: 'pages' },
      { title: 'bty-tui', stem: 'tui' },
      { title: 'Rights: the helper', stem: 'helper' },
      { title: 'Security model', stem: 'guide/security' },
      { title: 'Firmware notes', stem: 'guide/firmware' },
      { title: 'Performance', stem: 'performance' },
    ],
  ],
  [
    'Reference',
    [
      { title: 'Command line', stem: 'cli' },
      { title: 'HTTP', stem: 'http-api' },
      { title: 'Configuration', stem: 'reference/configuration' },
      { title: 'Events', stem: 'reference/events' },
      { title: 'Failures', stem: 'reference/failures' },
      { title: 'Packages used', stem: 'dependencies' },
    ],
  ],
  ['Help', [{ title: 'Troubleshooting', stem: 'guide/troubleshooting' }]],
];

/** Pages that the menu names. */
export const places: readonly Place[] = sections.flatMap(([, pages]) => pages);

/** Text for HTML, between tags and in quoted attributes. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one] ?? one);

/** The whole page around `content`. Links are relative, so that the site also works from a folder. */
export function framed(stem: string, content: string, version: string): string {
  const up = '../'.repeat(stem.split('/').length - 1);
  const heading = /<h1[^>]*>(.*?)<\/h1>/s.exec(content)?.[1]?.replace(/<[^>]*>/g, '') ?? 'bty';
  const menu = sections
    .map(([name, pages]) => {
      const items = pages.map((page) => {
        const here = page.stem === stem ? ' aria-current="page"' : '';
        return `<li><a href="${up}${page.stem}.html"${here}>${escaped(page.title)}</a></li>`;
      });
      return `<h2>${escaped(name)}</h2><ul>${items.join('')}</ul>`;
    })
    .join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${heading}${stem === 'index' ? '' : ' · bty'}</title>
<link rel="stylesheet" href="${up}site.css">
</head>
<body>
<a class="skip" href="#content">Skip to the text</a>
<nav aria-label="Pages"><p><strong>bty</strong> ${escaped(version)}</p>${menu}</nav>
<main id="content">
${content}
</main>
</body>
</html>
`;
}

export const styles = `:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #383d47); --soft: light-dark(#f4f5f8, #20242b);
  --link: light-dark(#0b57b0, #8ab8ff); }
* { box-sizing: border-box; }
body { margin: 0; display: grid; grid-template-columns: 15rem minmax(0, 1fr); font: 1rem/1.55 system-ui, sans-serif; }
nav { border-right: 1px solid var(--line); padding: 1rem; position: sticky; top: 0; height: 100vh; overflow: auto; }
nav h2 { font-size: .8rem; margin: 1rem 0 .25rem; text-transform: uppercase; opacity: .75; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .1rem .4rem; border-radius: .3rem; text-decoration: none; }
nav a[aria-current] { background: var(--soft); font-weight: 600; }
main { padding: 1rem 2rem 4rem; max-width: 60rem; }
a { color: var(--link); }
pre, code { font: .88rem/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .8rem; overflow: auto; border-radius: .4rem; }
:not(pre) > code { background: var(--soft); padding: .1rem .25rem; border-radius: .2rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; display: block; overflow: auto; }
th, td { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
img { max-width: 100%; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; border: 0; } main { padding: 1rem; } }
@media print { nav { display: none; } body { display: block; } }
`;
