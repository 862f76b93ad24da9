/** How machines booted, and why a boot stopped. */
import { type Static, Type } from 'typebox';
import { operations } from './operation.ts';

const Time = Type.String({ description: 'ISO 8601, UTC' });

export const BootDiagnosis = Type.Object({
  state: Type.Union([
    Type.Literal('running'),
    Type.Literal('done'),
    Type.Literal('stopped'),
    Type.Literal('failed'),
  ]),
  /** Names the case for programs. */
  code: Type.String(),
  cause: Type.String(),
  advice: Type.String(),
});
export type BootDiagnosis = Static<typeof BootDiagnosis>;

export const BootSummary = Type.Object({
  id: Type.Integer(),
  mac: Type.String(),
  started_at: Time,
  last_at: Time,
  /** How far it came. */
  stage: Type.String(),
  steps: Type.Integer(),
  diagnosis: BootDiagnosis,
});
export type BootSummary = Static<typeof BootSummary>;

export const BootStory = Type.Object({
  ...BootSummary.properties,
  steps: Type.Array(
    Type.Object({ at: Time, kind: Type.String() }, { description: 'With the fields of its kind.' }),
  ),
  /** Steps that found no room. */
  dropped: Type.Integer(),
  hints: Type.Array(Type.String()),
  /** Datagrams in the capture file. */
  datagrams: Type.Integer(),
});
export type BootStory = Static<typeof BootStory>;

export const storyOperations = operations({
  list: {
    name: 'boots.list',
    method: 'GET',
    path: '/machines/{mac}/boots',
    access: 'read',
    summary: 'The boots of a machine, the newest first, each with what became of it.',
    query: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) }),
    replies: { 200: { sentence: 'Boots.', schema: Type.Array(BootSummary) } },
  },
  get: {
    name: 'boots.get',
    method: 'GET',
    path: '/boots/{id}',
    access: 'read',
    summary: 'One boot, step by step. With ".pcap" after the number: its datagrams as a capture file.',
    description:
      'The capture file holds the very payloads that were received and sent; Ethernet, IP and UDP headers are made ' +
      'up around them. Of TFTP data blocks the first 64 bytes are kept, and of a long boot its first datagrams.',
    replies: {
      200: { sentence: 'The boot; or a file of type application/vnd.tcpdump.pcap.', schema: BootStory },
    },
  },
  programs: {
    name: 'boot.programs',
    method: 'GET',
    path: '/boot-programs',
    access: 'read',
    summary: 'Which boot program serves which architecture, where it lies, and how a missing one is got.',
    replies: {
      200: {
        sentence: 'Boot programs.',
        schema: Type.Array(
          Type.Object({
            name: Type.String(),
            platform: Type.String(),
            purpose: Type.String(),
            path: Type.Union([Type.String(), Type.Null()]),
            origin: Type.Union([Type.String(), Type.Null()]),
            size_bytes: Type.Union([Type.Integer(), Type.Null()]),
            advice: Type.Union([Type.String(), Type.Null()]),
          }),
        ),
      },
    },
  },
  program: {
    name: 'boot.program',
    method: 'GET',
    path: '/boot/{folder}/{name}',
    access: 'open',
    boot: true,
    summary: 'A boot program of another architecture, as /boot/arm64/snponly.efi.',
    replies: { 200: { sentence: 'The file.', type: 'application/octet-stream' } },
  },
});
