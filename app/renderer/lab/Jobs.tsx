import type { DownloadState, HashState } from '../../../shared/contract/job.ts';
import { CrossIcon } from '../icons.tsx';
import { Bar } from '../parts/Bar.tsx';
import { IconButton } from '../parts/Button.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { Card } from './parts/Page.tsx';
import { type Upload, useShelf } from './uploads.ts';
import { toldHere } from './words.ts';

interface Shown {
  readonly key: string;
  readonly title: string;
  readonly name: string;
  readonly done: number;
  readonly total: number | null;
  readonly problem: string | null;
  readonly cancel: () => void;
}

/** What is being uploaded, fetched or read, with its progress. */
export function Jobs() {
  const { t, bytes } = useText();
  const shown = [...useShownUploads(), ...useShownJobs()];
  if (shown.length === 0) return null;
  return (
    <Card title={t('lab.images.jobs')}>
      <ul className="parts">
        {shown.map(({ key, title, name, done, total, problem, cancel }) => (
          <li key={key} className="part">
            <div className="part-words">
              <p>{title}</p>
              {problem === null ? (
                <>
                  <Bar label={title} share={total === null || total === 0 ? null : done / total} />
                  <p className="quiet">
                    {total === null
                      ? bytes(done)
                      : t('lab.machine.progress', { done: bytes(done), total: bytes(total) })}
                  </p>
                </>
              ) : (
                <p className="problem">{problem}</p>
              )}
            </div>
            <IconButton
              label={t('lab.images.cancel', { name })}
              icon={<CrossIcon size={16} />}
              onPress={cancel}
            />
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** Why an upload does not move; null while it does. */
export function useUploadProblem(): (upload: Upload) => string | null {
  const { t, i18n } = useText();
  return ({ state, refusal }) => {
    if (state === 'waiting') return t('lab.images.paused');
    if (refusal === null) return null;
    if (refusal.status === 0) return `${t('lab.link.unreachable')} ${t('lab.link.unreachableAdvice')}`;
    const { message, advice } = toldHere(i18n.language, refusal);
    return `${message || t('lab.trouble.unknown', { status: refusal.status })} ${advice}`;
  };
}

function useShownUploads(): readonly Shown[] {
  const { t } = useText();
  const problemOf = useUploadProblem();
  return useShelf('images').map((upload) => {
    const { id, name, sent, total, state, cancel } = upload;
    const title = state === 'queued' ? 'lab.images.queued' : 'lab.images.uploading';
    return {
      key: `upload ${id}`,
      title: t(title, { name }),
      name,
      done: sent,
      total,
      problem: problemOf(upload),
      cancel,
    };
  });
}

const isRunning = ({ status }: DownloadState | HashState) => status === 'queued' || status === 'running';
/** Seconds that a failure is still shown. */
const fresh = 600;
const isTold = (job: DownloadState | HashState) =>
  isRunning(job) || (job.status === 'failed' && Date.now() / 1000 - (job.finished_at ?? 0) < fresh);

function useShownJobs(): readonly Shown[] {
  const { t } = useText();
  const downloads = useAnswer('jobs downloads', () => ask('GET /catalog/downloads'), ['job']);
  const hashes = useAnswer('jobs hashes', () => ask('GET /catalog/hashes'), ['job']);
  const params = (name: string) => ({ params: { name } });
  const problemOf = (job: DownloadState | HashState) =>
    job.status === 'failed' ? t('lab.images.failed', { name: job.name, error: job.error ?? '' }) : null;
  return [
    ...(downloads.value?.downloads ?? []).filter(isTold).map((job) => ({
      key: `download ${job.name}`,
      title: t('lab.images.download', { name: job.name }),
      name: job.name,
      done: job.bytes_downloaded,
      total: job.bytes_total,
      problem: problemOf(job),
      cancel: () => void attempt(() => ask('DELETE /catalog/downloads/{name}', params(job.name))),
    })),
    ...(hashes.value?.hashes ?? []).filter(isTold).map((job) => ({
      key: `hash ${job.name}`,
      title: t('lab.images.hash', { name: job.name }),
      name: job.name,
      done: job.bytes_hashed,
      total: job.bytes_total,
      problem: problemOf(job),
      cancel: () => void attempt(() => ask('DELETE /catalog/hashes/{name}', params(job.name))),
    })),
  ];
}
