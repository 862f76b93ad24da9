import { createHash } from 'node:crypto';

/** What a block map states of an image. */
export interface Mapping {
  /** In bytes. */
  readonly imageSize: number;
  readonly blockSize: number;
  /** In blocks, both ends included, ascending; with the SHA-256 of their bytes in lower-case hex. */
  readonly ranges: readonly { readonly first: number; readonly last: number; readonly sha256: string }[];
}

/** The block map as a document of version 2.0, which states its own digest. */
export function renderBmap(mapping: Mapping): string {
  const unsigned = document(mapping, '0'.repeat(64));
  return document(mapping, createHash('sha256').update(unsigned).digest('hex'));
}

function document({ imageSize, blockSize, ranges }: Mapping, checksum: string): string {
  const blocks = Math.ceil(imageSize / blockSize);
  const mapped = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const lines = ranges.map(({ first, last, sha256 }) => {
    const words = first === last ? `${first}` : `${first}-${last}`;
    return `        <Range chksum="${sha256}"> ${words} </Range>`;
  });
  return `<?xml version="1.0" ?>
<!-- Block map: the blocks of a disk image that hold data. Only they have to be written to a disk. -->

<bmap version="2.0">
    <!-- In bytes -->
    <ImageSize> ${imageSize} </ImageSize>
    <BlockSize> ${blockSize} </BlockSize>

    <!-- In blocks -->
    <BlocksCount> ${blocks} </BlocksCount>
    <MappedBlocksCount> ${mapped} </MappedBlocksCount>

    <ChecksumType> sha256 </ChecksumType>

    <!-- Of this file, with "0" in place of each digit of this number -->
    <BmapFileChecksum> ${checksum} </BmapFileChecksum>

    <!-- Blocks that hold data, the first and the last of each range, with the checksum of their bytes -->
    <BlockMap>
${lines.map((line) => `${line}\n`).join('')}    </BlockMap>
</bmap>
`;
}
