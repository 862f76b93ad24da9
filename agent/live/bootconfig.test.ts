import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { configFiles, fromConfig, fromEntry, newestEntry } from './bootconfig.ts';

const grub = `
set default="0"
if [ "\${next_entry}" ] ; then
   set default="\${next_entry}"
fi
menuentry 'Debian GNU/Linux' --class debian {
	load_video
	search --no-floppy --fs-uuid --set=root 0bd1
	echo	'Loading Linux 6.1.0-56-amd64 ...'
	linux	/boot/vmlinuz-6.1.0-56-amd64 root=UUID=0bd1 ro  console=ttyS0,115200 quiet
	initrd	/boot/initrd.img-6.1.0-56-amd64
}
submenu 'Advanced options' {
	menuentry 'recovery' {
		linux	/boot/vmlinuz-6.1.0-56-amd64 root=UUID=0bd1 ro single
		initrd	/boot/other
	}
}
`;

test('of a GRUB configuration the first entry counts', () => {
  assert.deepEqual(fromConfig('boot/grub/grub.cfg', grub), {
    kernel: '/boot/vmlinuz-6.1.0-56-amd64',
    initrds: ['/boot/initrd.img-6.1.0-56-amd64'],
    options: 'root=UUID=0bd1 ro console=ttyS0,115200 quiet',
  });
});

test('what only the loader knows is left to the loader', () => {
  assert.equal(fromConfig('grub/grub.cfg', 'linux /vmlinuz root=$root ro\n'), null);
  assert.equal(fromConfig('grub/grub.cfg', 'linux ($root)/vmlinuz root=/dev/sda1\n'), null);
  assert.equal(fromConfig('grub/grub.cfg', 'linux /../etc/passwd root=/dev/sda1\n'), null);
  assert.equal(fromConfig('grub/grub.cfg', 'linux /vmlinuz quiet\n'), null, 'no root');
  assert.equal(fromEntry('title x\noptions root=/dev/sda1\n'), null, 'no kernel');
});

test('of entries of the Boot Loader Specification the newest counts', () => {
  const entry = (version: string) =>
    `title Linux\nversion ${version}\nlinux /k/${version}/linux\ninitrd /k/${version}/initrd\noptions root=LABEL=r rw\noptions quiet\n`;
  const entries = new Map([
    ['a.conf', entry('6.9.1')],
    ['b.conf', entry('6.12.3')],
    ['c.conf', 'version 7.0\nlinux /k $kernelopts\n'],
  ]);
  const found = newestEntry(entries);
  assert.deepEqual(found, {
    kernel: '/k/6.12.3/linux',
    initrds: ['/k/6.12.3/initrd'],
    options: 'root=LABEL=r rw quiet',
  });
});

test('of a SYSLINUX configuration the default label counts, with the initrd that APPEND names', () => {
  const text =
    'DEFAULT new\nLABEL old\n LINUX /old\n APPEND root=/dev/sda1\nLABEL new\n KERNEL vmlinuz\n APPEND initrd=/one,/two root=/dev/sda1 rw\n';
  assert.deepEqual(fromConfig('extlinux/extlinux.conf', text), {
    kernel: '/vmlinuz',
    initrds: ['/one', '/two'],
    options: 'root=/dev/sda1 rw',
  });
});

test('no text makes it throw, and what it chooses holds no words for a shell or a loader', () => {
  const word = fc.constantFrom(
    'linux',
    'initrd',
    'append',
    'label',
    'default',
    '/k',
    'root=x',
    '$x',
    '..',
    '}',
  );
  const text = fc.array(fc.oneof(word, fc.string(), fc.constant('\n')), { maxLength: 40 });
  fc.assert(
    fc.property(fc.constantFrom(...configFiles), text, (name, words) => {
      const found = fromConfig(name, words.join(' '));
      if (found === null) return;
      for (const path of [found.kernel, ...found.initrds]) assert.match(path, /^\/[\w./+~@:-]*$/);
      assert.doesNotMatch(found.options, /[$`\\\n]/);
    }),
  );
});
