/**
 * iPXE scripts as values. iPXE has no quoting: white space parts words, `${}` is replaced wherever it stands, and
 * `||`, `&&`, `;` end a command. So a word that came from outside can only be made by `word`, which lets through
 * nothing but letters that mean themselves, and text for the screen only by `shown`.
 */

/** A word of a script that means exactly itself. */
export interface Word {
  readonly kind: 'word';
  readonly text: string;
}
/** A setting of iPXE, replaced when the script runs: `${netX/mac:hexhyp}`. */
export interface Setting {
  readonly kind: 'setting';
  readonly name: string;
}
/** Parts that stand together without white space. */
export type Joined = readonly (Word | Setting)[];

// Letters of URLs and of kernel parameters; no white space, `$`, `{`, `}`, `|`, `;`, `\`, quotes.
const harmless = /^[A-Za-z0-9._~:/?#[\]@!&'()*+,=%-]+$/;

/** `text` as a word. Throws when it could mean anything but itself. */
export function word(text: string): Word {
  if (!harmless.test(text) || text === '&&' || text.startsWith('#'))
    throw new Error(`not a word of a boot script: ${JSON.stringify(text)}`);
  return { kind: 'word', text };
}

/** A setting of iPXE; only names that the program itself writes come here. */
export function setting(name: string): Setting {
  if (!/^[A-Za-z0-9./:-]+$/.test(name)) throw new Error(`not a setting of iPXE: ${JSON.stringify(name)}`);
  return { kind: 'setting', name };
}

function spelled(part: Word | Setting): string {
  return part.kind === 'word' ? part.text : `\${${part.name}}`;
}

export type Argument = Word | Setting | Joined;

function argument(value: Argument): string {
  return 'kind' in value ? spelled(value) : value.map(spelled).join('');
}

/** What follows when a command fails. */
export type Otherwise = { readonly goto: string } | 'go-on' | 'end';

export type Line =
  | {
      readonly kind: 'command';
      readonly name: string;
      readonly args: readonly Argument[];
      readonly otherwise: Otherwise;
    }
  | { readonly kind: 'echo'; readonly text: string }
  | { readonly kind: 'label'; readonly name: string }
  | { readonly kind: 'goto'; readonly label: string }
  /** Goes to `label` when both are the same. */
  | { readonly kind: 'goto-if'; readonly left: Argument; readonly right: Argument; readonly label: string }
  | { readonly kind: 'comment'; readonly text: string };

export const command = (name: string, args: readonly Argument[] = [], otherwise: Otherwise = 'end'): Line => {
  return { kind: 'command', name, args, otherwise };
};
export const echo = (text: string): Line => ({ kind: 'echo', text });
export const label = (name: string): Line => ({ kind: 'label', name });
export const jump = (to: string): Line => ({ kind: 'goto', label: to });
export const jumpIf = (left: Argument, right: Argument, to: string): Line => {
  return { kind: 'goto-if', left, right, label: to };
};

/** Text for the screen: what could mean something becomes a question mark. */
function shown(text: string): string {
  const plain = text
    .replaceAll(';', ',')
    .replaceAll(/[^A-Za-z0-9 .,:_()/'"+=@%-]/g, '?')
    .replaceAll(/\s+/g, ' ');
  return plain.slice(0, 200).trim();
}

function rendered(line: Line): string {
  switch (line.kind) {
    case 'command': {
      const words = [line.name, ...line.args.map(argument)].join(' ');
      if (line.otherwise === 'end') return words;
      return line.otherwise === 'go-on' ? `${words} ||` : `${words} || goto ${line.otherwise.goto}`;
    }
    case 'echo':
      return `echo ${shown(line.text)}`;
    case 'label':
      return `:${line.name}`;
    case 'goto':
      return `goto ${line.label}`;
    case 'goto-if':
      return `iseq ${argument(line.left)} ${argument(line.right)} && goto ${line.label} ||`;
    case 'comment':
      return `# ${shown(line.text)}`;
  }
}

/** The script of `lines`. */
export function render(lines: readonly Line[]): string {
  return `${['#!ipxe', ...lines.map(rendered)].join('\n')}\n`;
}
