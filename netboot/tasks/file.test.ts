import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { mostTaskBytes, taskSchema } from '../../shared/task/file.ts';
import { expanded, type TaskMachine, variableProblem } from '../../shared/task/variables.ts';
import { faultLines, readTask } from './file.ts';

function valid(text: string) {
  const read = readTask(text);
  assert.ok(read.kind === 'valid', read.kind === 'invalid' ? faultLines('file', read.faults) : '');
  return read.task;
}
function faults(text: string): readonly string[] {
  const read = readTask(text);
  assert.equal(read.kind, 'invalid', text.slice(0, 200));
  return read.kind === 'invalid'
    ? read.faults.map((each) => `${each.line}:${each.column} ${each.message}`)
    : [];
}
const one = (text: string) => faults(text)[0] ?? '';

test('the steps of a task are read in the form of CIJOE', () => {
  const task = valid(`doc: |
  What it is for
steps:
- name: lines
  run: |
    echo one
    echo two # not a comment of YAML

- name: list
  run: [echo one, "echo two"]
- name: built in
  uses: cmdrunner
  with: {commands: [uptime], transport: ssh}
- name: wait
  uses: core.wait_for_ssh
  timeout: 20
- name: down
  uses: wait_for_transport
  with: {state: "down", timeout: 7}
- name: reboot
  uses: bty.reboot_and_wait
- name: put
  uses: core.put
  with: {src: motd, dst: /etc/motd}
`);
  assert.equal(task.doc, 'What it is for\n');
  assert.deepEqual(
    task.steps.map(({ name: _, ...step }) => step),
    [
      { line: 4, timeout: null, kind: 'run', commands: ['echo one', 'echo two # not a comment of YAML'] },
      { line: 9, timeout: null, kind: 'run', commands: ['echo one', 'echo two'] },
      { line: 11, timeout: null, kind: 'run', commands: ['uptime'] },
      { line: 14, timeout: 20, kind: 'wait', state: 'up', seconds: 60 },
      { line: 17, timeout: null, kind: 'wait', state: 'down', seconds: 7 },
      { line: 20, timeout: null, kind: 'reboot', seconds: 300 },
      { line: 22, timeout: null, kind: 'put', src: 'motd', dst: '/etc/motd' },
    ],
  );
});

test('what is wrong is told with its line and column, and with what is allowed', () => {
  assert.match(
    one('steps:\n- name: a\n  uses: qemu.guest_start\n'),
    /^3:9 "qemu.guest_start" is not built in.*core.cmdrunner, core.put/,
  );
  assert.match(one('steps:\n- name: a\n  uses: constructor\n'), /^3:9 .*not built in/);
  assert.match(
    one('steps:\n- name: 5\n  run: x\n'),
    /^2:9 "name" must be text, and it is a number; quote it/,
  );
  assert.match(one('steps:\n- name: a\n  run: true\n'), /^3:8 "run" must be text, and it is a boolean/);
  assert.match(one('steps:\n- name: a\n  run:\n'), /^3:\d+ "run" must be text/);
  assert.match(one('steps:\n- name: a\n'), /^2:3 a step needs "run" or "uses"/);
  assert.match(one('steps:\n- name: a\n  run: x\n  uses: core.put\n'), /^2:3 .*not both/);
  assert.match(one('steps:\n- name: a\n  run: x\n  with: {a: 1}\n'), /^4:9 "with" belongs to "uses"/);
  assert.match(one('steps:\n- run: x\n'), /^2:3 "name" is missing/);
  assert.match(
    one('steps:\n- name: a\n  run: x\n  loop: 3\n'),
    /^4:3 a step has no key "loop"; it takes name, run/,
  );
  assert.match(
    one('config: x\nsteps:\n- name: a\n  run: x\n'),
    /^1:1 a task has no key "config"; it takes doc, steps/,
  );
  assert.match(one('doc: x\n'), /"steps" is missing/);
  assert.match(one('steps: []\n'), /^1:8 "steps" has 0 items; 1 to 100/);
  assert.match(one('steps: x\n'), /^1:8 "steps" must be a list, and it is a string/);
  assert.match(
    one('steps:\n- name: a\n  uses: core.put\n  with: {src: ../../etc/shadow, dst: /x}\n'),
    /^4:15 "src" is the name of a file/,
  );
  assert.match(
    one('steps:\n- name: a\n  uses: core.get\n  with: {src: /x, dst: /etc/cron.d/x}\n'),
    /^4:24 "dst" is the name of a file/,
  );
  assert.match(
    one('steps:\n- name: a\n  run: x\n  timeout: 0\n'),
    /^4:12 "timeout" is a whole number of seconds/,
  );
  assert.match(
    one('steps:\n- name: a\n  run: echo {{ config.secret }}\n'),
    /^3:8 \{\{ config.secret \}\} means nothing; what does: machine.mac/,
  );
  assert.match(one('steps:\n- name: a\n  run: x\n  run: y\n'), /^4:3 .*unique/);
});

test('a variable that is never closed is found out quickly', () => {
  const began = process.cpuUsage();
  assert.equal(readTask(`steps:\n- name: a\n  run: "{{${' '.repeat(16_000)}"\n`).kind, 'valid');
  const { user } = process.cpuUsage(began);
  assert.ok(user < 1_000_000, `${user / 1000} ms`);
});

test('hostile files are refused quickly, whatever they are made of', () => {
  const bomb = Array.from({ length: 9 }, (_, level) => {
    const of = level === 0 ? '"lol"' : `*l${level - 1}`;
    return `l${level}: &l${level} [${Array(9).fill(of).join(', ')}]`;
  }).join('\n');
  const files: Record<string, string> = {
    'an alias bomb': bomb,
    'an alias among the steps': 'steps:\n- &a\n  name: x\n  run: y\n- *a\n',
    'a merge key': 'steps:\n- name: x\n  <<: {run: y}\n',
    'many brackets': '['.repeat(30_000),
    'many brackets in lines': '[\n'.repeat(15_000),
    'many tables': '{a: '.repeat(8_000),
    'many dashes': '- '.repeat(15_000),
    'many question marks': '? '.repeat(15_000),
    'deep indenting': Array.from({ length: 250 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
    'many tags': '!a '.repeat(10_000),
    'many anchors': '&a '.repeat(10_000),
    'a tag that makes an object': 'steps: !!js/function "return 1"',
    'a tag that makes bytes': 'steps: !!binary aGk=',
    'the old version of YAML': '%YAML 1.1\n---\nsteps:\n- name: yes\n  run: on\n  uses: off\n',
    'two documents': 'steps:\n- name: a\n  run: x\n---\nsteps:\n- name: b\n  run: y\n',
    'too much': `doc: ${'x'.repeat(mostTaskBytes)}`,
    'too many steps': `steps:\n${'- name: a\n  run: x\n'.repeat(101)}`,
    'no text': '\0\x01\x02',
    nothing: '',
    'a zero byte in a command': 'steps:\n- name: a\n  run: "x\\0y"\n',
    'a prototype': '__proto__: {steps: []}\n',
    'brackets and then spaces': `${'['.repeat(20)}${' '.repeat(2000)}x`,
  };
  for (const [what, text] of Object.entries(files)) {
    const began = process.cpuUsage();
    assert.ok(faults(text).length > 0, what);
    const { user, system } = process.cpuUsage(began);
    assert.ok(user + system < 3_000_000, `${what} took ${(user + system) / 1000} ms`);
  }
});

test('whatever text comes, it is a task or it is told where it is none', () => {
  const words = [
    'steps:',
    '- ',
    'name: ',
    'run: ',
    'uses: core.put',
    'with: ',
    '\n',
    '  ',
    '{',
    '}',
    '[',
    ']',
    '|',
    '>',
    '&a',
    '*a',
    '!x',
    '"',
    "'",
    '#',
    'x',
    '1',
    '%',
    '---',
    '\t',
    '{{ ',
    ' }}',
    '\ud800',
  ];
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.constantFrom(...words), { maxLength: 60 }).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, (given) => {
      const read = readTask(given);
      if (read.kind === 'valid') return assert.ok(read.task.steps.length > 0);
      assert.ok(read.faults.length > 0 && read.faults.length <= 20);
      for (const { line, column } of read.faults) assert.ok(line >= 1 && column >= 1);
    }),
    { numRuns: 500 },
  );
});

test('docs/task.schema.json is up to date (make it anew with: node build/document.ts)', () => {
  const written = readFileSync(new URL('../../docs/task.schema.json', import.meta.url), 'utf8');
  assert.equal(written, `${JSON.stringify(taskSchema, null, 2)}\n`);
});

test('the example of docs/tasks.md is a task', () => {
  const page = readFileSync(new URL('../../docs/tasks.md', import.meta.url), 'utf8');
  const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  assert.ok(examples.length > 0);
  for (const text of examples) valid(text);
});

test('no value of a machine becomes more than one word of a shell, in quotes or without', () => {
  const machine = (labels: Record<string, string>): TaskMachine => {
    return { mac: '52:54:00:00:00:01', hostname: null, address: '10.0.0.2', image_sha256: null, labels };
  };
  assert.equal(
    expanded('echo {{machine.mac}} {{ machine.labels.rack }}', machine({ rack: 'a-1' })),
    'echo 52:54:00:00:00:01 a-1',
  );
  assert.match(variableProblem('{{ machine.hostname }}', machine({})) ?? '', /has no machine.hostname/);
  assert.match(variableProblem('{{ machine.labels.none }}', machine({})) ?? '', /has no machine.labels.none/);
  assert.match(variableProblem('{{ machine.labels.toString }}', machine({})) ?? '', /has no/);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (value) => {
      const problem = variableProblem('x {{ machine.labels.v }}', machine({ v: value }));
      assert.equal(problem === null, /^[\w./:@%+,=][\w./:@%+,=-]*$/.test(value) && !/\n/.test(value));
    }),
    { examples: [['$(reboot)'], ['a b'], ['a;b'], ["'"], ['-rf'], ['a\n'], ['ok-1']] },
  );
});
