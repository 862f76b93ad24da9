import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { startLab } from './lab.ts';
import { marker, sampleImage } from './sample.ts';

/**
 * `npm run demo`: bakes a small bootable image, packs it, flashes it with the real program onto a virtual disk,
 * verifies it a second time by itself, boots the disk where QEMU is installed, starts the appliance on the loopback with
 * that image, boots pretended machines from it and flashes a second disk from it. `--keep` leaves its pages open.
 */
const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'dist', 'demo');
const bty = join(root, 'dist', 'bin', 'bty');
const imageBytes = 64 << 20;
const diskBytes = 96 << 20;
const bootSeconds = 90;
/** Pretended machines that boot from the appliance. */
const machines = 4;

function step(text: string): void {
  process.stdout.write(`\n== ${text}\n`);
}

function stop(text: string): never {
  process.stdout.write(`\nThe demo failed: ${text}\n`);
  process.exit(1);
}

step('Building the executable');
await import('../pack/build.ts');

step('Baking a bootable sample image');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const image = sampleImage(imageBytes);
const packed = zstdCompressSync(image, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const imagePath = join(folder, 'sample.img.zst');
writeFileSync(imagePath, packed);
const sha256 = createHash('sha256').update(packed).digest('hex');
writeFileSync(`${imagePath}.sha256`, `${sha256}  sample.img.zst\n`);
process.stdout.write(
  `${relative(root, imagePath)}: ${image.length} bytes packed to ${packed.length}, SHA-256 ${sha256}\n`,
);

step('Making a virtual disk full of old data');
const diskPath = join(folder, 'disk.raw');
writeFileSync(diskPath, Buffer.alloc(4 << 20, 0xa5));
const descriptor = openSync(diskPath, 'r+');
ftruncateSync(descriptor, diskBytes);
closeSync(descriptor);
process.stdout.write(`${relative(root, diskPath)}: ${diskBytes} bytes\n`);

step('Flashing it');
flash(imagePath, diskPath, sha256);

step('Comparing the disk with the image, byte by byte');
compare(diskPath);

step('Booting the disk');
const qemu = (process.env.PATH ?? '')
  .split(delimiter)
  .map((part) => join(part, 'qemu-system-x86_64'))
  .find(existsSync);
if (!qemu)
  process.stdout.write(
    'QEMU is not installed (apt install qemu-system-x86 seabios), so the disk is not booted.\n',
  );
else if (await boots(qemu))
  process.stdout.write(`The virtual machine says on its serial port:\n  ${marker}\n`);
else stop(`the virtual machine did not print its marker within ${bootSeconds} s.`);

step('Starting the appliance on the loopback, and asking it as a machine that boots from the network');
const lab = await startLab(join(root, 'dist', 'bin', 'bty-web'), folder);
try {
  const mac = '52:54:00:12:34:56';
  const script = await lab.rehearse(imagePath, sha256, mac);
  if (!script.startsWith('#!ipxe')) stop('the appliance gave the machine no boot script.');
  process.stdout.write(`${mac} is bound to the image, and would be answered:\n`);
  process.stdout.write(script.replaceAll(/^(?=.)/gm, '  '));

  step('Booting pretended machines from it');
  await lab.boot(machines, sha256, (made, stages) =>
    process.stdout.write(`${made} is flashed and boots its disk: ${stages}\n`),
  );

  step('Flashing a virtual disk over the network, from the appliance');
  const networkDisk = join(folder, 'network.raw');
  writeFileSync(networkDisk, '');
  truncateSync(networkDisk, diskBytes);
  flash(`${lab.url}/images/${sha256}`, networkDisk, sha256);
  compare(networkDisk);

  step('The pages');
  process.stdout.write(`The pages: ${lab.url}/ui  password: ${lab.password}\n`);
  if (process.argv.includes('--keep')) {
    process.stdout.write('They stay open until Ctrl+C.\n');
    await new Promise((resolve) => process.once('SIGINT', resolve));
  } else process.stdout.write('They close with the demo; "npm run demo -- --keep" keeps them open.\n');
} finally {
  await lab.close();
}
process.stdout.write('\nThe demo succeeded.\n');

function flash(from: string, disk: string, digest: string): void {
  const args = ['flash', '--image', from, '--virtual-disk', disk, '--sha256', digest, '--yes'];
  process.stdout.write(
    `$ bty ${args.map((arg) => (arg.startsWith(root) ? relative(root, arg) : arg)).join(' ')}\n`,
  );
  if (spawnSync(bty, args, { stdio: 'inherit' }).status !== 0)
    stop('bty flash did not succeed; its message stands above.');
}

function compare(disk: string): void {
  const written = readFileSync(disk);
  if (Buffer.compare(written.subarray(0, image.length), image) !== 0)
    stop('the disk differs from the image.');
  process.stdout.write(`All ${image.length} bytes are on the disk.\n`);
}

function boots(program: string): Promise<boolean> {
  const options = [
    '-machine',
    'pc,accel=tcg',
    '-m',
    '64',
    '-display',
    'none',
    '-nodefaults',
    '-no-reboot',
    '-net',
    'none',
  ];
  const disk = ['-drive', `file=${diskPath},format=raw,if=ide,snapshot=on`, '-serial', 'stdio'];
  const machine = spawn(program, [...options, ...disk], { stdio: ['ignore', 'pipe', 'ignore'] });
  return new Promise((resolve) => {
    let said = '';
    const timer = setTimeout(() => machine.kill(), bootSeconds * 1000);
    machine.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString('latin1');
      if (said.includes(marker)) machine.kill();
    });
    machine.on('error', () => resolve(false));
    machine.on('close', () => {
      clearTimeout(timer);
      resolve(said.includes(marker));
    });
  });
}
