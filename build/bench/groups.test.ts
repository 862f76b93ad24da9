import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupNames, groups, type Place } from './groups.ts';

const place: Place = {
  program: '/opt/bty',
  path: (form) => `/images/disk.img.${form}`,
  imageBytes: 4096,
  devices: ['/dev/loop7'],
};

test('names are unique, and every comparison is between contenders of its group', () => {
  assert.equal(new Set(groupNames).size, groupNames.length);
  for (const { contenders, comparisons, media } of groups) {
    const names = contenders.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { ours, theirs, barMedium } of comparisons) {
      assert.ok(names.includes(ours) && names.includes(theirs) && ours !== theirs);
      assert.ok(media.includes(barMedium));
    }
  }
});

test('whoever names a form of the image in its commands has it made before', () => {
  for (const { contenders } of groups) {
    for (const { name, reads, pipelines } of contenders) {
      const words = JSON.stringify(pipelines(place));
      const named = [...words.matchAll(/\/images\/disk\.img\.(\w+)/g)].map(([, form]) => form);
      assert.deepEqual([...new Set(named)].sort(), [...reads].sort(), name);
      assert.ok(words.includes('/dev/loop7'), name);
    }
  }
});

test('programs of other makers that are started are named as needed', () => {
  for (const { contenders } of groups) {
    for (const { name, tools, pipelines } of contenders) {
      for (const [program] of pipelines(place).flat()) {
        if (program !== place.program)
          assert.ok(
            tools.some((tool) => tool === program),
            `${name}: ${program}`,
          );
      }
    }
  }
});

test('we write to every target and never without --yes, and read back only where that is the work', () => {
  const several = groups.find(({ name }) => name === 'several')?.contenders.at(-1);
  const [[command = []] = []] = several?.pipelines({ ...place, devices: ['/dev/loop7', '/dev/loop8'] }) ?? [];
  assert.equal(
    command.join(' '),
    '/opt/bty flash --image /images/disk.img.zst --target /dev/loop7 --target /dev/loop8 --yes --allow-loop --progress none --verify none',
  );
});
