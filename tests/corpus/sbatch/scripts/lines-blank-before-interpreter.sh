
#!/bin/bash
#SBATCH -n 4
