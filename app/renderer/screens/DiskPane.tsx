import { CheckboxGroup } from 'react-aria-components';
import { FlaskIcon, UsbIcon } from '../icons.tsx';
import { Bar } from '../parts/Bar.tsx';
import { Button } from '../parts/Button.tsx';
import { Failed } from '../parts/Failed.tsx';
import { Note } from '../parts/Note.tsx';
import { useText } from '../parts/useText.ts';
import { changeSettings, imageOf, listed, needOf, pick, pickedDisks, useStore } from '../store.ts';
import { DiskRow } from './DiskRow.tsx';

/** Bytes of the file that stands for a disk, when it is first asked for: room for most images, and it takes none. */
export const virtualDiskBytes = 16e9;

export function DiskPane() {
  const { t } = useText();
  const state = useStore();
  const disks = listed(state);
  const hidden = state.disks.disks.filter((disk) => disk.system).length;
  const chosen = pickedDisks(state);
  const need = needOf(imageOf(state));
  return (
    <section className="pane" aria-labelledby="disks-title">
      <div className="pane-head">
        <span className="step" aria-hidden="true">
          2
        </span>
        <h2 id="disks-title" className="pane-title">
          {t('disks.title')}
        </h2>
        <span className="pane-count" role="status">
          {chosen.length > 0 ? t('disks.chosen', { count: chosen.length }) : ''}
        </span>
      </div>
      <div className="pane-body">
        {state.disks.problem ? (
          <Note kind="bad">
            <strong>{t('disks.problem')}.</strong> <Failed failure={state.disks.problem} />
          </Note>
        ) : null}
        {!state.disks.looked ? (
          <Bar label={t('common.loading')} share={null} />
        ) : disks.length === 0 ? (
          <NoDisk />
        ) : (
          <CheckboxGroup
            className="disks"
            aria-labelledby="disks-title"
            value={chosen.map(({ id }) => id)}
            onChange={pick}
          >
            {disks.map((disk) => (
              <DiskRow key={disk.id} disk={disk} need={need} />
            ))}
          </CheckboxGroup>
        )}
        <div className="pane-foot">
          {hidden > 0 ? (
            <Button
              look="quiet"
              onPress={() =>
                state.showSystem
                  ? useStore.setState({ showSystem: false })
                  : useStore.setState({ sheet: 'system' })
              }
            >
              {state.showSystem ? t('disks.hideSystem') : t('disks.showSystem', { count: hidden })}
            </Button>
          ) : null}
          {state.settings.virtualDisk === null && state.disks.looked && disks.length > 0 ? <TryIt /> : null}
        </div>
      </div>
    </section>
  );
}

function NoDisk() {
  const { t } = useText();
  return (
    <div className="no-disk">
      <span className="drop-icon">
        <UsbIcon size={40} />
      </span>
      <p className="drop-title">{t('disks.none')}</p>
      <p className="drop-hint">{t('disks.noneHint')}</p>
      <TryIt />
    </div>
  );
}

function TryIt() {
  const { t } = useText();
  return (
    <Button
      look="quiet"
      icon={<FlaskIcon size={18} />}
      onPress={() => void changeSettings({ virtualDisk: virtualDiskBytes })}
    >
      {t('disks.tryIt')}
    </Button>
  );
}
