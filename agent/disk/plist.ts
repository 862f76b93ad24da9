/** Reads XML property lists, as diskutil(8) of macOS prints them: PropertyList-1.0.dtd. */
import { SaxesParser } from 'saxes';

export type PlistValue = string | number | boolean | readonly PlistValue[] | PlistDictionary;
export interface PlistDictionary {
  readonly [key: string]: PlistValue;
}

type Container =
  | { readonly kind: 'array'; readonly items: PlistValue[] }
  | { readonly kind: 'dict'; readonly entries: Map<string, PlistValue>; key: string | null };

const deepest = 64;

/** The value of a property list. Dates and data stay text. Throws an Error that says what is wrong. */
export function parsePlist(text: string): PlistValue {
  const parser = new SaxesParser({ xmlns: false });
  const open: Container[] = [];
  let content = '';
  let result: PlistValue | undefined;

  const store = (value: PlistValue): void => {
    const top = open.at(-1);
    if (!top) {
      if (result !== undefined) throw new Error('a second value follows the first');
      result = value;
    } else if (top.kind === 'array') top.items.push(value);
    else if (top.key === null) throw new Error('a value in a dictionary has no key');
    else {
      top.entries.set(top.key, value);
      top.key = null;
    }
  };

  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ name }) => {
    content = '';
    if (open.length >= deepest) throw new Error(`it is nested more than ${deepest} deep`);
    if (name === 'array') open.push({ kind: 'array', items: [] });
    else if (name === 'dict') open.push({ kind: 'dict', entries: new Map(), key: null });
  });
  const collect = (piece: string): void => {
    content += piece;
  };
  parser.on('text', collect);
  parser.on('cdata', collect);
  parser.on('closetag', ({ name }) => {
    const top = open.at(-1);
    switch (name) {
      case 'plist':
        break;
      case 'key':
        if (top?.kind !== 'dict' || top.key !== null) throw new Error('a key stands where none belongs');
        top.key = content;
        break;
      case 'array':
      case 'dict':
        open.pop();
        // A dictionary has no prototype that a key such as "__proto__" could reach.
        if (top?.kind === 'array') store(top.items);
        else if (top) store(Object.assign(Object.create(null), Object.fromEntries(top.entries)));
        break;
      case 'true':
      case 'false':
        store(name === 'true');
        break;
      case 'integer':
      case 'real':
        store(numberIn(content));
        break;
      case 'string':
      case 'date':
      case 'data':
        store(content);
        break;
      default:
        throw new Error(`<${name.slice(0, 40)}> is no element of a property list`);
    }
    content = '';
  });
  parser.write(text).close();
  if (result === undefined) throw new Error('it holds no value');
  return result;
}

function numberIn(text: string): number {
  const number = Number(text.trim());
  if (text.trim() === '' || !Number.isFinite(number)) throw new Error(`"${text.slice(0, 40)}" is no number`);
  return number;
}
