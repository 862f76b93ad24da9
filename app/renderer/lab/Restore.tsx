import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { RestoreOffer } from '../../../shared/contract/system.ts';
import { SaveIcon } from '../icons.tsx';
import { Button } from '../parts/Button.tsx';
import { Note } from '../parts/Note.tsx';
import { attempt } from './answer.ts';
import { ask, send } from './api.ts';
import { forgetDrafts } from './drafts.ts';
import { UploadIcon } from './icons.tsx';
import { Confirm } from './parts/Confirm.tsx';
import { Card, Facts } from './parts/Page.tsx';
import { Time } from './parts/Time.tsx';

type Stage =
  | { readonly kind: 'none' | 'sending' | 'restoring' }
  | { readonly kind: 'offered'; readonly name: string; readonly offer: RestoreOffer };

/** A backup of the whole state to download, and a way to put one in its place. */
export function BackupCard() {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const [stage, setStage] = useState<Stage>({ kind: 'none' });
  const ordered = useRef(false);
  const offer = async (file: File) => {
    setStage({ kind: 'sending' });
    const done = await attempt(async () => {
      const answer = await send('/restore', { method: 'PUT', body: file });
      setStage({ kind: 'offered', name: file.name, offer: (await answer.json()) as RestoreOffer });
    });
    if (!done) setStage({ kind: 'none' });
  };
  const restore = (sha256: string) =>
    attempt(async () => {
      await ask('POST /restore', { body: { sha256 } });
      ordered.current = true;
      setStage({ kind: 'restoring' });
    });
  const withdraw = () => {
    // The sheet closes when it was restored, too.
    if (ordered.current) return;
    setStage({ kind: 'none' });
    void attempt(() => ask('DELETE /restore'));
  };
  return (
    <Card title={t('lab.keeping.backup')}>
      <p>{t('lab.keeping.backupHint')}</p>
      <div className="form-actions">
        <Button icon={<SaveIcon size={16} />} onPress={() => location.assign('/backup')}>
          {t('lab.keeping.backupDo')}
        </Button>
        <input
          ref={input}
          type="file"
          hidden
          aria-label={t('lab.keeping.restore')}
          onChange={({ target }) => {
            const [file] = target.files ?? [];
            if (file) void offer(file);
            target.value = '';
          }}
        />
        <Button
          icon={<UploadIcon size={16} />}
          isDisabled={stage.kind !== 'none'}
          onPress={() => input.current?.click()}
        >
          {t('lab.keeping.restore')}
        </Button>
      </div>
      <div role="status">
        {stage.kind === 'sending' ? <p className="quiet">{t('lab.keeping.sending')}</p> : null}
        {stage.kind === 'restoring' ? <Restoring /> : null}
      </div>
      {stage.kind === 'offered' ? (
        <RestoreSheet
          name={stage.name}
          offer={stage.offer}
          onRestore={() => restore(stage.offer.sha256)}
          onClose={withdraw}
        />
      ) : null}
    </Card>
  );
}

interface SheetProps {
  readonly name: string;
  readonly offer: RestoreOffer;
  readonly onRestore: () => Promise<boolean>;
  readonly onClose: () => void;
}

function RestoreSheet({ name, offer, onRestore, onClose }: SheetProps) {
  const { t } = useTranslation();
  const { made_at, program, machines, events } = offer;
  const holds = [
    t('lab.keeping.machines', { count: machines }),
    t('lab.keeping.events', { count: events }),
  ].join(', ');
  return (
    <Confirm
      danger
      title={t('lab.keeping.restoreTitle')}
      act={t('lab.keeping.restoreDo')}
      typed={t('lab.keeping.restoreWord')}
      onAct={onRestore}
      onClose={onClose}
    >
      <Facts
        facts={[
          { name: t('lab.keeping.file'), value: name },
          { name: t('lab.keeping.made'), value: <Time at={made_at} /> },
          { name: t('lab.keeping.by'), value: program },
          { name: t('lab.keeping.holds'), value: holds },
        ]}
      />
      <p>{t('lab.keeping.restoreText')}</p>
    </Confirm>
  );
}

/** Milliseconds between two looks whether it is back. */
const pause = 500;

/** Waits until the appliance is there again, and begins anew: whatever this page knows is of another state. */
function Restoring() {
  const { t } = useTranslation();
  useEffect(() => {
    const ends = new AbortController();
    void waitForStart(ends.signal);
    return () => ends.abort();
  }, []);
  return <Note kind="info">{t('lab.keeping.restoring')}</Note>;
}

async function waitForStart(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    // Every session ends with the old state: whoever is still let in asks the old one.
    const answer = await fetch('/access/who', { credentials: 'same-origin' }).catch(() => null);
    if (answer?.status === 401 && !signal.aborted) {
      forgetDrafts();
      return location.assign('/ui/settings');
    }
  }
}
