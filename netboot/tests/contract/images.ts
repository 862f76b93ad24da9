/** Images, jobs and tasks. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { type Ask, announcing, type Rows, type Stage } from './stage.ts';

/** Nothing answers there. */
const deaf = 'http://127.0.0.1:1';
const bytes = 'x'.repeat(2000);

async function uploaded(at: Stage): Promise<string> {
  const name = `row-${at.next()}.img`;
  await at.done('PUT', `/images/${name}`, bytes + name);
  return name;
}

/** An address in the catalog; answers its name. */
async function listed(at: Stage): Promise<string> {
  const name = `far-${at.next()}.img`;
  await at.done('POST', '/catalog/entries', { image_url: `${deaf}/${name}` });
  return name;
}

const piece = (at: Stage, name: string, range: string, body: string) =>
  at.ask('PUT', `/images/${name}`, body, { 'content-range': `bytes ${range}` });

async function digestOf(at: Stage, name: string): Promise<string> {
  const { list } = await at.done('GET', '/images');
  const found = (JSON.parse(String(list)) as { name: string; sha256: string }[]).find(
    (one) => one.name === name,
  );
  return found?.sha256 ?? '';
}

export const imageRows: Rows = {
  'image.list': { 200: (at) => at.open('GET', '/images') },
  'image.get': {
    200: async (at) => at.open('GET', `/images/${await uploaded(at)}`),
    206: async (at) => at.open('GET', `/images/${await uploaded(at)}`, undefined, { range: 'bytes=0-9' }),
    404: (at) => at.open('GET', '/images/none.img'),
    416: async (at) => at.open('GET', `/images/${await uploaded(at)}`, undefined, { range: 'bytes=9000-' }),
    502: async (at) => {
      const other = await at.other();
      const image = `name = "far"\nsrc = "${deaf}/far.img"\nsha256 = "${'e'.repeat(64)}"\n`;
      await other.done('PUT', '/catalog/manifest', `version = 1\n[[images]]\n${image}`);
      return other.open('GET', `/images/${'e'.repeat(64)}`);
    },
  },
  'image.get-named': {
    200: async (at) => at.open('GET', `/images/${await digestOf(at, await uploaded(at))}/any.img`),
    404: (at) => at.open('GET', `/images/${'f'.repeat(64)}/any.img`),
  },
  'image.put': {
    200: (at) => at.ask('PUT', `/images/row-${at.next()}.img`, bytes),
    202: (at) => piece(at, `row-${at.next()}.img`, '0-9/20', 'x'.repeat(10)),
    400: (at) => at.ask('PUT', '/images/.hidden', bytes),
    409: (at) => piece(at, `row-${at.next()}.img`, '10-19/20', 'x'.repeat(10)),
    413: async (at) => announcing(await at.other({ maxUploadBytes: 1000 }), 'PUT', '/images/a.img', 1001),
    507: async (at) => announcing(await at.other({ imageQuotaBytes: 1000 }), 'PUT', '/images/a.img', 1001),
  },
  'image.delete': {
    204: async (at) => at.ask('DELETE', `/images/${await uploaded(at)}`),
    404: (at) => at.ask('DELETE', '/images/none.img'),
    409: async (at) => {
      const name = await uploaded(at);
      await at.done('PUT', `/machines/${at.mac()}`, { image_sha256: await digestOf(at, name) });
      return at.ask('DELETE', `/images/${name}`);
    },
  },
  'image.rename': {
    200: async (at) =>
      at.ask('POST', `/images/${await uploaded(at)}/rename`, { name: `row-${at.next()}.img` }),
    404: (at) => at.ask('POST', '/images/none.img/rename', { name: 'other.img' }),
    409: async (at) => at.ask('POST', `/images/${await uploaded(at)}/rename`, { name: await uploaded(at) }),
  },
  'catalog.images': { 200: (at) => at.ask('GET', '/catalog/images') },
  'catalog.entries': {
    200: async (at) => {
      await listed(at);
      return at.ask('GET', '/catalog/entries');
    },
  },
  'catalog.add': {
    201: (at) => at.ask('POST', '/catalog/entries', { image_url: `${deaf}/far-${at.next()}.img` }),
    409: async (at) => at.ask('POST', '/catalog/entries', { image_url: `${deaf}/${await listed(at)}` }),
  },
  'catalog.remove': {
    204: async (at) =>
      at.ask('DELETE', `/catalog/entries?src=${encodeURIComponent(`${deaf}/${await listed(at)}`)}`),
    404: (at) => at.ask('DELETE', `/catalog/entries?src=${encodeURIComponent(`${deaf}/none.img`)}`),
  },
  'catalog.import': {
    200: async (at) => (await at.other()).ask('PUT', '/catalog/manifest', 'version = 1\n'),
  },
  'boot.get': {
    200: (at) => at.open('GET', '/boot/bty-netboot-x86_64.vmlinuz'),
    400: (at) => at.open('GET', '/boot/.hidden'),
    404: (at) => at.open('GET', '/boot/none'),
  },
  'boot.put': {
    200: (at) => at.ask('PUT', `/boot/row-${at.next()}`, bytes),
    400: (at) => at.ask('PUT', '/boot/.hidden', bytes),
  },
};

const fetching = async (at: Stage) => {
  const tag = `v${at.next()}`;
  await at.done('POST', '/boot/releases', { tag, source: deaf });
  return tag;
};

export const jobRows: Rows = {
  'download.list': {
    200: async (at) => {
      await at.done('POST', '/catalog/downloads', { name: await listed(at) });
      return at.ask('GET', '/catalog/downloads');
    },
  },
  'download.start': {
    202: async (at) => at.ask('POST', '/catalog/downloads', { name: await listed(at) }),
    404: (at) => at.ask('POST', '/catalog/downloads', { name: 'none.img' }),
  },
  'download.cancel': {
    200: async (at) => {
      const name = await listed(at);
      await at.done('POST', '/catalog/downloads', { name });
      return at.ask('DELETE', `/catalog/downloads/${name}`);
    },
    404: (at) => at.ask('DELETE', '/catalog/downloads/none.img'),
  },
  'hash.list': {
    200: async (at) => {
      await at.done('POST', '/catalog/hashes', { name: await uploaded(at) });
      return at.ask('GET', '/catalog/hashes');
    },
  },
  'hash.start': {
    202: async (at) => at.ask('POST', '/catalog/hashes', { name: await uploaded(at) }),
    404: (at) => at.ask('POST', '/catalog/hashes', { name: 'none.img' }),
  },
  'hash.cancel': {
    200: async (at) => {
      const name = await uploaded(at);
      await at.done('POST', '/catalog/hashes', { name });
      return at.ask('DELETE', `/catalog/hashes/${name}`);
    },
    404: (at) => at.ask('DELETE', '/catalog/hashes/none.img'),
  },
  'release.list': {
    200: async (at) => {
      await fetching(at);
      return at.ask('GET', '/boot/releases');
    },
  },
  'release.start': {
    202: (at) => at.ask('POST', '/boot/releases', { tag: `v${at.next()}`, source: deaf }),
    409: (at) => at.ask('POST', '/boot/releases', {}),
  },
  'release.cancel': {
    200: async (at) => at.ask('DELETE', `/boot/releases/${await fetching(at)}`),
    404: (at) => at.ask('DELETE', '/boot/releases/none'),
  },
};

const text = 'steps:\n- name: a\n  run: "true"\n';

async function saved(at: Stage): Promise<string> {
  const name = `row-${at.next()}`;
  await at.done('PUT', `/tasks/library/${name}`, { text });
  return name;
}

/** A machine with a task, on an appliance that has a key. */
async function ready(at: Stage): Promise<string> {
  await at.done('POST', '/tasks/key');
  const mac = at.mac();
  const task = { provisioning_mode: 'cijoe-task', cijoe_task_ref: await saved(at) };
  await at.done('PUT', `/machines/${mac}`, task);
  return mac;
}

/** A run that is over. */
async function run(at: Stage): Promise<unknown> {
  const mac = await ready(at);
  const { id } = await at.done('POST', `/machines/${mac}/task`);
  await at.done('DELETE', `/tasks/${mac}`);
  return id;
}

const ofRun = (path: string): Readonly<Record<number, Ask>> => ({
  200: async (at) => at.ask('GET', `/tasks/runs/${await run(at)}${path}`),
  404: (at) => at.ask('GET', `/tasks/runs/999999${path}`),
});

export const taskRows: Rows = {
  'task.list': {
    200: async (at) => {
      await run(at);
      return at.ask('GET', '/tasks');
    },
  },
  'task.cancel': {
    200: async (at) => {
      const mac = await ready(at);
      await at.done('POST', `/machines/${mac}/task`);
      return at.ask('DELETE', `/tasks/${mac}`);
    },
    400: (at) => at.ask('DELETE', '/tasks/none'),
    404: (at) => at.ask('DELETE', `/tasks/${at.mac()}`),
  },
  'task.run': {
    202: async (at) => at.ask('POST', `/machines/${await ready(at)}/task`),
    400: (at) => at.ask('POST', '/machines/none/task'),
    404: (at) => at.ask('POST', `/machines/${at.mac()}/task`),
    409: async (at) => {
      const other = await at.other();
      const mac = other.mac();
      await other.done('PUT', `/machines/${mac}`, {});
      return other.ask('POST', `/machines/${mac}/task`, { task_ref: await saved(other) });
    },
  },
  'task.accept-host-key': {
    204: async (at) => {
      const mac = await ready(at);
      const { database, tasks } = at.appliance.services;
      await database.write(() => tasks.store.pin(mac, { flashedAt: null, fingerprint: 'SHA256:x' }, 1));
      return at.ask('DELETE', `/machines/${mac}/host-key`);
    },
    400: (at) => at.ask('DELETE', '/machines/none/host-key'),
    404: (at) => at.ask('DELETE', `/machines/${at.mac()}/host-key`),
  },
  'task.runs': {
    200: async (at) => {
      await run(at);
      return at.ask('GET', '/tasks/runs');
    },
  },
  'task.get': ofRun(''),
  'task.output': ofRun('/output'),
  'task.live': ofRun('/live'),
  'task.report': ofRun('/report'),
  'task.junit': ofRun('/junit'),
  'task.validate': { 200: (at) => at.ask('POST', '/tasks/validate', { text: 'nonsense' }) },
  'task.schema': { 200: (at) => at.ask('GET', '/tasks/schema') },
  'task.files': {
    200: async (at) => {
      await saved(at);
      return at.ask('GET', '/tasks/library');
    },
  },
  'task.file': {
    200: async (at) => at.ask('GET', `/tasks/library/${await saved(at)}`),
    400: (at) => at.ask('GET', '/tasks/library/.hidden'),
    404: (at) => at.ask('GET', '/tasks/library/none'),
  },
  'task.versions': {
    200: async (at) => at.ask('GET', `/tasks/library/${await saved(at)}/versions`),
    404: (at) => at.ask('GET', '/tasks/library/none/versions'),
  },
  'task.save': {
    200: (at) => at.ask('PUT', `/tasks/library/row-${at.next()}`, { text }),
    400: (at) => at.ask('PUT', '/tasks/library/.hidden', { text }),
    422: (at) => at.ask('PUT', `/tasks/library/row-${at.next()}`, { text: 'nonsense' }),
  },
  'task.delete': {
    204: async (at) => at.ask('DELETE', `/tasks/library/${await saved(at)}`),
    404: (at) => at.ask('DELETE', '/tasks/library/none'),
    409: async (at) => {
      const mac = await ready(at);
      const { cijoe_task_ref } = await at.done('GET', `/machines/${mac}`);
      return at.ask('DELETE', `/tasks/library/${String(cijoe_task_ref)}`);
    },
  },
  'task.put-files': {
    200: async (at) => {
      await at.done('PUT', `/tasks/files/row-${at.next()}`, bytes);
      return at.ask('GET', '/tasks/files');
    },
  },
  'task.save-put-file': {
    200: (at) => at.ask('PUT', `/tasks/files/row-${at.next()}`, bytes),
    400: (at) => at.ask('PUT', '/tasks/files/.hidden', bytes),
    409: async (at) => {
      const other = await at.other();
      mkdirSync(other.file('task-files'), { recursive: true });
      for (let count = 0; count < 200; count++) writeFileSync(other.file('task-files', `f${count}`), '');
      return other.ask('PUT', '/tasks/files/more', bytes);
    },
    413: (at) => announcing(at, 'PUT', `/tasks/files/row-${at.next()}`, (64 << 20) + 1),
  },
  'task.delete-put-file': {
    204: async (at) => {
      const name = `row-${at.next()}`;
      await at.done('PUT', `/tasks/files/${name}`, bytes);
      return at.ask('DELETE', `/tasks/files/${name}`);
    },
    404: (at) => at.ask('DELETE', '/tasks/files/none'),
  },
  'task.key': {
    200: async (at) => {
      await at.done('POST', '/tasks/key');
      return at.ask('GET', '/tasks/key');
    },
  },
  'task.make-key': { 200: (at) => at.ask('POST', '/tasks/key') },
};
