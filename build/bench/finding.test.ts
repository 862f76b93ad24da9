import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMost, cells, finding, isKept, ratioAtLeast } from './finding.ts';
import { parsePerfdhcp } from './network/dhcp.ts';
import { sectionMarkdown, sectionsOf, withSection } from './sectionreport.ts';

test('a bar is held against the median, or against the ratio of medians; without the other one it says nothing', () => {
  const faced = finding('work', 'MiB/s', [10, 20, 30], ratioAtLeast(1.5), {
    name: 'them',
    values: [10, 10, 50],
  });
  assert.equal(isKept(faced), true);
  assert.deepEqual([faced.theirs?.ratio.ofMedians, faced.theirs?.ratio.ofRounds], [2, 1]);
  assert.equal(isKept(finding('work', 'ms', [1, 5, 9], atMost(4))), false);
  assert.equal(isKept(finding('work', 'ms', [1, 4, 9], atMost(4))), true);
  assert.equal(isKept(finding('work', 'MiB/s', [1], ratioAtLeast(1), { name: 'them', values: [] })), null);
  assert.equal(isKept(finding('work', 'MiB/s', [], atMost(1))), null);
  assert.equal(
    cells([faced]).at(-1)?.join(' | '),
    'work | MiB/s | 20.0 [10.0-30.0] | them | 10.0 [10.0-50.0] | 2.00 | 1.00 | ratio at least 1.5 | ok',
  );
});

test('a section takes the place of the one before, or comes before the one on repeating, and the others stay', () => {
  const told = { date: '2026-11-23', rounds: 5, load: 0.2 };
  const section = (title: string, value: number) =>
    sectionMarkdown({ title, method: 'So.', findings: [finding('work', 's', [value], null)] }, told);
  const document = '# Performance\n\nAll.\n\n## Last run\n\nx\n\n## Repeating it\n\ny\n';
  const once = withSection(withSection(document, section('DHCP', 1)), section('TFTP', 2));
  const twice = withSection(once, section('DHCP', 3));
  assert.deepEqual(
    [...twice.matchAll(/^## (.*)$/gm)].map(([, title]) => title),
    ['Last run', 'DHCP', 'TFTP', 'Repeating it'],
  );
  assert.match(twice, /\| work \| s \| 3\.00 /);
  assert.doesNotMatch(twice, /\| 1\.00 /);
  assert.equal(sectionsOf(twice, ['DHCP', 'TFTP']).length, 2);
  assert.equal(
    withSection(document, section('DHCP', 1)),
    withSection(withSection(document, section('DHCP', 9)), section('DHCP', 1)),
  );
});

test('what perfdhcp prints is understood', () => {
  const times = (count: number, late: number) =>
    Array.from(
      { length: count },
      (_, index) =>
        `sent / received: 000000.00${1000 + index} / 000000.${index === count - 1 ? 100000 + late : `00${1500 + index}`}`,
    ).join('\n');
  const text = `Running: perfdhcp\n***Rate statistics***\nRate: 1985.5 4-way exchanges/second, expected rate: 2000

***Malformed Packets***
***Statistics for: DISCOVER-OFFER***
sent packets: 200
received packets: 198
drops: 2

***Timestamps for packets: DISCOVER-OFFER***
${times(100, 0)}

***Statistics for: REQUEST-ACK***
sent packets: 198
received packets: 198
drops: 0

***Timestamps for packets: REQUEST-ACK***
${times(100, 500)}
`;
  const found = parsePerfdhcp(text);
  // A hundred exchanges, from the first DISCOVER to the last ACK.
  assert.equal(found.rate, 100 / (0.1005 - 0.001));
  assert.equal(found.lost, 1);
  assert.equal(found.lostAcks, 0);
  assert.ok(found.offer > 90 && found.offer < 110, String(found.offer));
  assert.ok(found.ack > 90 && found.ack < 110, String(found.ack));
  assert.ok(Number.isNaN(parsePerfdhcp('').lost));
});
