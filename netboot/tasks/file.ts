/** The text of a task file becomes a task, or a list of what is wrong with it and where. Pure; hostile text is bounded. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml';
import {
  type BuiltinName,
  builtinOf,
  builtins,
  mostCommands,
  mostSteps,
  mostTaskBytes,
  type Task,
  type TaskAction,
  type TaskFault,
  type TaskStep,
} from '../../shared/task/file.ts';
import { unknownVariables, variableNames } from '../../shared/task/variables.ts';

export type ReadTask =
  | { readonly kind: 'valid'; readonly task: Task }
  | { readonly kind: 'invalid'; readonly faults: readonly TaskFault[] };

/** Faults that are told of one file. */
const mostFaults = 20;
/** Levels of nesting; a task has four. */
const deepest = 20;
const mostLetters = 16_384;
const allowed = Object.keys(builtins).join(', ');

/** Reads `text`. The faults carry line and column from 1. */
export function readTask(text: string): ReadTask {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > mostTaskBytes)
    return only(1, 1, `the file has ${bytes} bytes; a task has ${mostTaskBytes} at most`);
  const deep = tooDeep(text);
  if (deep !== null) return only(deep, 1, `it is nested deeper than ${deepest} levels`);
  const reader = new Reader();
  try {
    return reader.read(text);
  } catch (error) {
    // The parser is recursive: what is nested past the guess above ends its stack.
    if (error instanceof RangeError) return only(1, 1, 'it is nested too deeply');
    throw error;
  }
}

/** `faults` of `file` as lines that editors understand: `FILE:LINE:COLUMN: message`. */
export function faultLines(file: string, faults: readonly TaskFault[]): string {
  return faults.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`).join('\n');
}

const only = (line: number, column: number, message: string): ReadTask => {
  return { kind: 'invalid', faults: [{ line, column, message }] };
};

/** Line that opens more than `deepest` levels at once; what is nested by indenting is at least as long as deep. */
function tooDeep(text: string): number | null {
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (bracketsBefore(line) > deepest || /^\s*(?:[-?] +){21}/.test(line)) return index + 1;
    if (/^ {400}\s*\S/.test(line) && /^\s*(- |\? |[\w"']+:( |$))/.test(line)) return index + 1;
  }
  let open = 0;
  for (const [index, line] of lines.entries()) {
    // Only a line that begins with a bracket goes on with a collection in brackets.
    if (!/^\s*[[\]{},]/.test(line)) continue;
    for (const letter of line) {
      if (letter === '[' || letter === '{') open++;
      else if (letter === ']' || letter === '}') open--;
    }
    if (open > deepest) return index + 1;
  }
  return null;
}

/** Brackets that stand before anything else in `line`. */
function bracketsBefore(line: string): number {
  let count = 0;
  for (const letter of line) {
    if (letter === '[' || letter === '{') count++;
    else if (letter.trim() !== '') break;
  }
  return count;
}

interface Ranged {
  readonly range?: readonly [number, number, number] | null | undefined;
}

class Reader {
  readonly #faults: TaskFault[] = [];
  readonly #lines = new LineCounter();

  read(text: string): ReadTask {
    const documents = parseAllDocuments(text, {
      version: '1.2',
      schema: 'core',
      customTags: [],
      merge: false,
      resolveKnownTags: false,
      logLevel: 'silent',
      prettyErrors: false,
      lineCounter: this.#lines,
    });
    const [document] = Array.isArray(documents) ? documents : [];
    if (document === undefined || document.contents === null) return only(1, 1, 'the file holds no task');
    const second = Array.isArray(documents) ? documents[1] : undefined;
    if (second !== undefined) this.#fault(second, 'the file holds more than one document');
    for (const each of [...document.errors, ...document.warnings])
      this.#at(each.pos[0], `this is no YAML as tasks have it: ${each.message.slice(0, 300)}`);
    if (this.#faults.length > 0) return this.#invalid();
    const task = this.#task(document.contents);
    return task === null || this.#faults.length > 0 ? this.#invalid() : { kind: 'valid', task };
  }

  #invalid(): ReadTask {
    const faults = this.#faults.toSorted((a, b) => a.line - b.line || a.column - b.column);
    return { kind: 'invalid', faults: faults.slice(0, mostFaults) };
  }

  #task(node: unknown): Task | null {
    const top = this.#map(node, 'a task');
    if (top === null) return null;
    this.#onlyKeys(top, ['doc', 'steps'], 'a task');
    const doc = this.#has(top, 'doc') ? this.#text(this.#get(top, 'doc'), '"doc"', [0, mostLetters]) : '';
    const list = this.#get(top, 'steps');
    if (list === undefined) {
      this.#fault(top, '"steps" is missing');
      return null;
    }
    const items = this.#list(list, '"steps"', mostSteps);
    if (items === null) return null;
    const steps = items.map((item) => this.#step(item)).filter((step) => step !== null);
    return { doc: doc ?? '', steps };
  }

  #step(node: unknown): TaskStep | null {
    const step = this.#map(node, 'a step');
    if (step === null) return null;
    this.#onlyKeys(step, ['name', 'run', 'uses', 'with', 'timeout'], 'a step');
    const name = this.#needed(step, 'name', 'a step');
    const line = this.#lines.linePos(step.range?.[0] ?? 0).line;
    const timeout = this.#has(step, 'timeout')
      ? this.#seconds(this.#get(step, 'timeout'), '"timeout"')
      : null;
    const action = this.#action(step);
    const called = name === undefined ? null : this.#text(name, '"name"', [1, 200]);
    return action === null || called === null ? null : { name: called, line, timeout, ...action };
  }

  #action(step: YAMLMap): TaskAction | null {
    const [run, uses] = [this.#get(step, 'run'), this.#get(step, 'uses')];
    if (this.#has(step, 'run') === this.#has(step, 'uses')) {
      const both = this.#has(step, 'run');
      this.#fault(step, both ? 'a step has "run" or "uses", not both' : 'a step needs "run" or "uses"');
      return null;
    }
    if (this.#has(step, 'run')) {
      if (this.#has(step, 'with'))
        this.#fault(this.#get(step, 'with'), '"with" belongs to "uses", not to "run"');
      const commands = this.#commands(run, '"run"');
      return commands === null ? null : { kind: 'run', commands };
    }
    const named = this.#text(uses, '"uses"', [1, 200]);
    if (named === null) return null;
    const name = builtinOf(named);
    if (name === null) {
      const what = `"${named}" is not built in; tasks may use ${allowed}`;
      this.#fault(uses, `${what}. Other CIJOE scripts and packages are not run; commands go into "run".`);
      return null;
    }
    return this.#builtin(name, step);
  }

  #builtin(name: BuiltinName, step: YAMLMap): TaskAction | null {
    const mayMiss = name === 'core.wait_for_transport' || name === 'bty.reboot_and_wait';
    const given = this.#get(step, 'with');
    if (given === undefined && !mayMiss) {
      this.#fault(
        step,
        `"with" is missing; ${name} takes ${Object.keys(builtins[name].properties).join(', ')}`,
      );
      return null;
    }
    const found = given === undefined ? null : this.#map(given, '"with"');
    if (given !== undefined && found === null) return null;
    if (found !== null) this.#onlyKeys(found, Object.keys(builtins[name].properties), name);
    const get = (key: string) => (found === null ? undefined : this.#get(found, key));
    for (const key of ['transport', 'transport_name'])
      if (get(key) !== undefined) this.#text(get(key), `"${key}"`, [0, 200]);
    switch (name) {
      case 'core.cmdrunner': {
        const list = found === null ? undefined : this.#needed(found, 'commands', name);
        const commands = list === undefined ? null : this.#commandList(list, '"commands"');
        return commands === null ? null : { kind: 'run', commands };
      }
      case 'core.put':
      case 'core.get':
        return found === null ? null : this.#copy(name, found);
      case 'core.wait_for_transport': {
        const state = get('state') === undefined ? 'up' : this.#text(get('state'), '"state"', [1, 10]);
        if (state !== null && state !== 'up' && state !== 'down')
          this.#fault(get('state'), '"state" is "up" or "down"');
        const seconds = get('timeout') === undefined ? 60 : this.#seconds(get('timeout'), '"timeout"');
        return seconds === null ? null : { kind: 'wait', state: state === 'down' ? 'down' : 'up', seconds };
      }
      case 'bty.reboot_and_wait': {
        const seconds = get('timeout') === undefined ? 300 : this.#seconds(get('timeout'), '"timeout"');
        return seconds === null ? null : { kind: 'reboot', seconds };
      }
    }
  }

  #copy(name: 'core.put' | 'core.get', found: YAMLMap): TaskAction | null {
    const [source, target] = [this.#needed(found, 'src', name), this.#needed(found, 'dst', name)];
    const src = source === undefined ? null : this.#text(source, '"src"', [1, 1024]);
    const dst = target === undefined ? null : this.#text(target, '"dst"', [1, 1024]);
    if (src === null || dst === null) return null;
    const [ours, node] = name === 'core.put' ? [src, source] : [dst, target];
    if (!isFileName(ours)) {
      const key = name === 'core.put' ? '"src"' : '"dst"';
      const rule = 'letters, digits, ".", "_" and "-", no folder and no dot in front';
      this.#fault(node, `${key} is the name of a file on the appliance: ${rule}`);
      return null;
    }
    return { kind: name === 'core.put' ? 'put' : 'get', src, dst };
  }

  /** As CIJOE has it: each line is a command of its own. */
  #commands(node: unknown, what: string): readonly string[] | null {
    if (isSeq(node)) return this.#commandList(node, what);
    const text = this.#text(node, what, [1, mostLetters]);
    if (text === null) return null;
    const commands = text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
    if (commands.length > 0 && commands.length <= mostCommands) return commands;
    this.#fault(
      node,
      commands.length === 0 ? `${what} holds no command` : `${what} holds more than ${mostCommands}`,
    );
    return null;
  }

  #commandList(node: unknown, what: string): readonly string[] | null {
    const items = this.#list(node, what, mostCommands);
    if (items === null) return null;
    const commands = items.map((item) => this.#text(item, `a command of ${what}`, [1, mostLetters]));
    for (const [index, command] of commands.entries()) {
      if (command?.trim() === '') this.#fault(items[index], `a command of ${what} is empty`);
      if (command?.trim().includes('\n'))
        this.#fault(items[index], `a command of ${what} has several lines; each is an item of its own`);
    }
    return commands.every((command) => command !== null) ? commands.map((command) => command.trim()) : null;
  }

  #seconds(node: unknown, what: string): number | null {
    const value = isScalar(node) ? node.value : null;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 86_400) return value;
    this.#fault(node, `${what} is a whole number of seconds from 1 to 86400`);
    return null;
  }

  #text(node: unknown, what: string, [least, most]: readonly [number, number]): string | null {
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value !== 'string') {
      const is = isScalar(node) ? `it is ${kindOf(value)}; quote it` : `it is ${nodeKind(node)}`;
      this.#fault(node, `${what} must be text, and ${is}`);
      return null;
    }
    if (value.length < least || value.length > most) {
      this.#fault(node, `${what} has ${value.length} letters; ${least} to ${most} are taken`);
      return null;
    }
    if (value.includes('\0')) {
      this.#fault(node, `${what} holds a zero byte`);
      return null;
    }
    const [strange] = unknownVariables(value);
    if (strange !== undefined)
      this.#fault(node, `{{ ${strange} }} means nothing; what does: ${variableNames}`);
    return value;
  }

  #list(node: unknown, what: string, most: number): readonly unknown[] | null {
    if (!isSeq(node)) {
      this.#fault(node, `${what} must be a list, and it is ${nodeKind(node)}`);
      return null;
    }
    this.#bare(node);
    if (node.items.length >= 1 && node.items.length <= most) return node.items;
    this.#fault(node, `${what} has ${node.items.length} items; 1 to ${most} are taken`);
    return null;
  }

  #map(node: unknown, what: string): YAMLMap | null {
    if (isMap(node)) {
      this.#bare(node);
      return node;
    }
    this.#fault(node, `${what} must be a table of keys, and it is ${nodeKind(node)}`);
    return null;
  }

  /** Anchors mean nothing where aliases are refused, and tags would name other types. */
  #bare(node: { readonly anchor?: string | undefined; readonly tag?: string | undefined } & Ranged): void {
    if (node.anchor !== undefined) this.#fault(node, 'anchors (&) and aliases (*) are not taken');
  }

  #onlyKeys(map: YAMLMap, known: readonly string[], what: string): void {
    for (const pair of map.items) {
      const key = keyOf(pair);
      if (key !== null && known.includes(key)) continue;
      this.#fault(
        pair.key,
        `${what} has no key "${(key ?? '?').slice(0, 100)}"; it takes ${known.join(', ')}`,
      );
    }
  }

  #has(map: YAMLMap, key: string): boolean {
    return map.items.some((pair) => keyOf(pair) === key);
  }

  #get(map: YAMLMap, key: string): unknown {
    const pair = map.items.find((each) => keyOf(each) === key);
    if (pair === undefined) return undefined;
    // A key without a value is told where the key is.
    return pair.value ?? pair.key;
  }

  #needed(map: YAMLMap, key: string, what: string): unknown {
    const found = this.#get(map, key);
    if (found === undefined) this.#fault(map, `"${key}" is missing; ${what} needs it`);
    return found;
  }

  #fault(node: unknown, message: string): void {
    const range = (node as Ranged | null | undefined)?.range;
    this.#at(range?.[0] ?? 0, isAlias(node) ? 'anchors (&) and aliases (*) are not taken' : message);
  }

  #at(offset: number, message: string): void {
    if (this.#faults.length >= 1000) return;
    const { line, col } = this.#lines.linePos(offset);
    this.#faults.push({ line: Math.max(1, line), column: Math.max(1, col), message });
  }
}

/** A name of one file in one folder. */
export function isFileName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(name);
}

function keyOf({ key }: Pair): string | null {
  return isScalar(key) && typeof key.value === 'string' ? key.value : null;
}

function kindOf(value: unknown): string {
  return value === null ? 'nothing' : `a ${typeof value}`;
}

function nodeKind(node: unknown): string {
  if (isMap(node)) return 'a table';
  if (isSeq(node)) return 'a list';
  if (isAlias(node)) return 'an alias';
  return isScalar(node) ? kindOf(node.value) : 'nothing';
}
