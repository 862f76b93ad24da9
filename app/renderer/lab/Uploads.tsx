import { CrossIcon } from '../icons.tsx';
import { IconButton } from '../parts/Button.tsx';
import { useText } from '../parts/useText.ts';
import { useUploadProblem } from './Jobs.tsx';
import type { Upload } from './uploads.ts';

/** Files that are sent in one piece: each with what keeps it, and a way to take it back. */
export function Uploads({ uploads }: { readonly uploads: readonly Upload[] }) {
  const { t } = useText();
  const problemOf = useUploadProblem();
  return uploads.map((upload) => {
    const { id, name, state, cancel } = upload;
    const problem = problemOf(upload);
    const going = state === 'queued' ? 'lab.images.queued' : 'lab.images.uploading';
    return (
      <div key={id} className="part">
        <p className={problem === null ? 'part-words quiet' : 'part-words problem'}>
          {problem === null ? t(going, { name }) : `${name}: ${problem}`}
        </p>
        <IconButton
          label={t('lab.images.cancel', { name })}
          icon={<CrossIcon size={14} />}
          onPress={cancel}
        />
      </div>
    );
  });
}
