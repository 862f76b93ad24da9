/** The image that a person chose, read from what `bty inspect image --json` prints. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { nameOf } from '../address.ts';
import { urlOf } from './url.ts';

const text = Type.String({ maxLength: 16_384 });
const maybe = Type.Union([text, Type.Null()]);
const size = Type.Union([Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), Type.Null()]);
const filesystem = Type.Union([Type.Object({ kind: text, label: maybe }), Type.Null()]);

const WireTable = Type.Object({
  scheme: Type.Union([Type.Literal('gpt'), Type.Literal('mbr'), Type.Literal('none')]),
  isohybrid: Type.Boolean(),
  filesystem,
  problems: Type.Array(text),
  partitions: Type.Array(
    Type.Object({
      number: Type.Integer(),
      size_bytes: size,
      type_name: maybe,
      name: maybe,
      filesystem,
    }),
    { maxItems: 1024 },
  ),
});

const WireDetail = Type.Object({
  packing: Type.Optional(maybe),
  virtual_size_bytes: Type.Optional(size),
  virtual_size_at_least_bytes: Type.Optional(size),
  entry: Type.Optional(maybe),
  partition_table: Type.Optional(Type.Union([WireTable, Type.Null()])),
  notes: Type.Optional(Type.Array(text)),
  sha256: Type.Optional(maybe),
  url: Type.Optional(text),
  name: Type.Optional(text),
  format: Type.Optional(maybe),
  size_bytes: Type.Optional(size),
});

const WireReport = Type.Object({
  schema_version: Type.Literal('1'),
  command: Type.Literal('inspect-image'),
  image: Type.Object({
    path: text,
    format: maybe,
    size_bytes: size,
    detail: Type.Optional(WireDetail),
    detail_error: Type.Optional(text),
    detail_advice: Type.Optional(text),
    detail_code: Type.Optional(text),
  }),
});

/** Where an image is, and what is known about it beforehand. */
export const ImageChoice = Type.Object(
  {
    /** A path or an http(s) address. */
    location: Type.String({ minLength: 1, maxLength: 4096 }),
    /** What to call it; its file name otherwise. */
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 300 })),
    /** SHA-256 that the stored bytes must have. */
    sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  },
  { additionalProperties: false },
);
export type ImageChoice = Static<typeof ImageChoice>;

export interface ImagePartition {
  readonly number: number;
  /** Bytes, null where unknown. */
  readonly size: number | null;
  /** What is in it, as well as it is known: label, name or kind of partition. */
  readonly title: string;
  readonly filesystem: string | null;
}

export interface AppImage {
  readonly location: string;
  readonly name: string;
  /** Wire name of the format, null for what is no image. */
  readonly format: string | null;
  /** Bytes as stored, null where unknown. */
  readonly storedBytes: number | null;
  /** Bytes that a flash writes, null where unknown; then at least `atLeastBytes`. */
  readonly imageBytes: number | null;
  readonly atLeastBytes: number | null;
  /** Name of the image within an archive. */
  readonly entry: string | null;
  readonly scheme: 'gpt' | 'mbr' | 'none' | null;
  readonly partitions: readonly ImagePartition[];
  /** File system that spans the whole image. */
  readonly filesystem: string | null;
  /** SHA-256 that is checked while the image is read, null when nobody stated one. */
  readonly sha256: string | null;
  readonly notes: readonly string[];
  readonly warnings: readonly ImageWarning[];
  /** Why it cannot be flashed, null when it can. */
  readonly problem: { readonly message: string; readonly advice: string } | null;
}

/** `no-table`: no computer is likely to start from it. `windows`: needs a tool of its own to start. */
export type ImageWarning = 'no-table' | 'windows';

/** The image that `choice` names, from what inspecting it printed; null when that is no such report. */
export function imageIn(choice: ImageChoice, value: unknown): AppImage | null {
  if (!Check(WireReport, value)) return null;
  const { image } = value;
  const { detail } = image;
  const table = detail?.partition_table ?? null;
  const sha256 = (choice.sha256 ?? (image.format === 'bri' ? detail?.sha256 : null) ?? null)?.toLowerCase();
  return {
    location: choice.location,
    name: choice.name ?? detail?.name ?? nameIn(choice.location),
    format: image.format === 'bri' ? (detail?.format ?? null) : image.format,
    storedBytes: image.format === 'bri' ? (detail?.size_bytes ?? null) : image.size_bytes,
    imageBytes: detail?.virtual_size_bytes ?? null,
    atLeastBytes: detail?.virtual_size_at_least_bytes ?? null,
    entry: detail?.entry ?? null,
    scheme: table?.scheme ?? null,
    partitions: (table?.partitions ?? []).map((partition) => ({
      number: partition.number,
      size: partition.size_bytes,
      title: partition.filesystem?.label || partition.name || partition.type_name || '',
      filesystem: partition.filesystem?.kind ?? null,
    })),
    filesystem: table?.filesystem?.kind ?? null,
    sha256: sha256 ?? null,
    notes: [...(detail?.notes ?? []), ...(table?.problems ?? [])],
    warnings: table ? warningsOf(table) : [],
    problem:
      image.detail_error === undefined
        ? null
        : { message: image.detail_error, advice: image.detail_advice ?? '' },
  };
}

function warningsOf(table: Static<typeof WireTable>): readonly ImageWarning[] {
  const { filesystem: whole, scheme, isohybrid } = table;
  // A Windows installer is a bridge disc: an ISO 9660 beside a UDF, made for optical drives only.
  const disc = whole !== null && /^(iso9660|udf)$/.test(whole.kind) && !isohybrid;
  if (disc && windowsLabel.test(whole.label ?? '')) return ['windows'];
  return scheme === 'none' && !isohybrid ? ['no-table'] : [];
}

/** Labels of installation discs as their maker writes them, for example `CCCOMA_X64FRE_EN-US_DV9`. */
const windowsLabel = /^[A-Z0-9]+_(X64|X86|A64|ARM64)F?(RE|REV|REO)?_|^(WIN|ESD-ISO)/;

/** Last part of a path or address, harmless as text. */
export function nameIn(location: string): string {
  const url = /^https?:/i.test(location) ? urlOf(location) : null;
  if (url) return nameOf(url);
  return location.split(/[/\\]/).findLast((part) => part !== '') ?? location;
}
