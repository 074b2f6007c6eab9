#SBATCH -n 4
#!/bin/bash
