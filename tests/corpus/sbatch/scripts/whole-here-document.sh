#!/bin/bash
#SBATCH -J generator
cat > inner.sh <<'END'
#!/bin/bash
#SBATCH -J inner --bogus
END
sbatch inner.sh
